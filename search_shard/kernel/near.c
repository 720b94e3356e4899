/* One wrong character: the words that differ from a phrase in one place, and where they stand.

   The same as search_shard/near.py and search_shard/likeness.py say.  Others may run while the
   callables are asked, so nothing of the kernel's own scratch is used here.
*/

#include "near.h"

/* Whether to stop: time is over, or asking failed. */
static int is_late(Near *near)
{
    if (near->looked++ % READ_AGAIN)
        return 0;
    PyObject *answer = PyObject_CallNoArgs(near->late);
    near->over = answer ? PyObject_IsTrue(answer) : -1;
    Py_XDECREF(answer);
    return near->over != 0;
}

/* Entries of neighbours, and the first and last place that every absent pair touches. */
static int find_pairs(const Near *near, const Table *table, int64_t *pairs, int *first, int *last)
{
    int any = 0;
    *first = 0;
    *last = near->length - 1;
    for (int at = 0; at + 1 < near->length; at++) {
        uint16_t left = near->codes[at], right = near->codes[at + 1];
        pairs[at] = left && right ? find_entry(table, left, right) : -1;
        if (pairs[at] >= 0)
            continue;
        *first = at;
        if (!any)
            *last = at + 1;
        any = 1;
    }
    return *first <= *last;
}

static int may_be_wrong(const Near *near, int at)
{
    for (int place = 0; place < near->length; place++)
        if (place != at && !near->codes[place])
            return 0;
    return 1;
}

static int rising(const void *left, const void *right)
{
    uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
    return a < b ? -1 : a > b;
}

/* Every place in a text where another code stands in the phrase. */
static int read_around(Near *near, uint16_t document)
{
    const Kernel *self = near->self;
    const uint16_t *text = self->words + self->word_at[document];
    int64_t size = (int64_t)self->word_at[document + 1] - self->word_at[document] - 1;
    int64_t last = size - near->length;
    int at = near->at, end = near->length - 1;
    int one = at ? at - 1 : 1, other = at && at < end ? at + 1 : at ? at - 2 : 2;
    if (end < 2)
        other = one;
    uint16_t first = near->codes[one], second = near->codes[other];
    size_t before = 2 * (size_t)at, behind = 2 * (size_t)(end - at);
    for (int64_t start = 0; start <= last; start += 32) {
        int64_t stop = start + 32 <= last ? start + 32 : last + 1;
        uint16_t any = stop - start < 32;
        if (!any)
            for (int j = 0; j < 32; j++)
                any |= (uint16_t)((text[start + j + one] == first)
                                  & (text[start + j + other] == second));
        for (int64_t place = start; any && place < stop; place++) {
            if (text[place + one] != first || text[place + at] == near->typed
                || memcmp(text + place, near->codes, before)
                || memcmp(text + place + at + 1, near->codes + at + 1, behind))
                continue;
            if (text[place + at] >= self->code_count)
                return damaged("a word");
            if (near->found_count == near->found_room
                && more_room((void **)&near->found, &near->found_room, 4) < 0)
                return -1;
            near->found[near->found_count++] = (uint32_t)text[place + at] << 16 | document;
        }
    }
    return 0;
}

static int read_texts(Near *near, int64_t documents)
{
    near->found_count = 0;
    for (int64_t at = 0; at < documents; at++)
        if (is_late(near) || read_around(near, near->left[at]) < 0)
            return -1;
    if (!near->found_count)
        return 0;
    if (mark_alike(near) < 0)
        return -1;
    qsort(near->found, near->found_count, 4, rising);
    for (size_t at = 0, next; at < near->found_count; at = next) {
        uint32_t key = near->found[at];
        uint16_t code = (uint16_t)(key >> 16), document = (uint16_t)key;
        for (next = at + 1; next < near->found_count && near->found[next] == key; next++)
            ;
        if (!(near->anything >> near->at & 1) && !near->heard[code] && !near->looks[code])
            continue;
        uint32_t count = next - at < COUNT_MAX ? (uint32_t)(next - at) : COUNT_MAX;
        if (add_spot(near, code, document, text_score(near->self, document, count), IN_TEXT) < 0)
            return -1;
    }
    return 0;
}

/* Where the phrase stands with one of the others; masked: only in documents of the mask. */
static int find_other(Near *near, uint16_t other, int masked)
{
    const Kernel *self = near->self;
    Phrase phrase = {.codes = near->codes, .length = near->length};
    near->codes[near->at] = other;
    int found = look_up(self, &phrase);
    if (found <= 0)
        return found;
    const List *list = phrase.list;
    int64_t count = decode(self, list->table, list->entry, near->left,
                           phrase.whole ? near->counts : NULL), kept = 0;
    if (phrase.whole) {
        for (int64_t at = 0; at < count; at++) {
            uint32_t score = text_score(self, near->left[at], near->counts[at]);
            if (add_spot(near, other, near->left[at], score, IN_TEXT) < 0)
                return -1;
        }
        return count < 0 ? -1 : 0;
    }
    for (int64_t at = 0; at < count; at++)
        if (!masked || near->mask[near->left[at]])
            near->left[kept++] = near->left[at];
    if (count < 0)
        return -1;
    if (phrase.lists > 1 && (uint64_t)kept * VERIFY >= list[1].count) {
        int64_t more = decode(self, list[1].table, list[1].entry, near->right, NULL);
        if (more < 0)
            return -1;
        kept = common_to(near->left, kept, near->right, more);
    }
    for (int64_t at = 0; at < kept; at++) {
        uint16_t document = near->left[at];
        if (is_late(near))
            return -1;
        uint32_t often = (uint32_t)count_in_text(self, document, &phrase);
        uint32_t score = text_score(self, document, often);
        if (often && add_spot(near, other, document, score, IN_TEXT) < 0)
            return -1;
    }
    return 0;
}

static int stands_between(const Near *near, const Table *table, uint16_t other)
{
    int at = near->at;
    return (!at || find_entry(table, near->codes[at - 1], other) >= 0)
        && (at + 1 == near->length || find_entry(table, other, near->codes[at + 1]) >= 0);
}

static int find_others(Near *near, int masked)
{
    if (list_others(near) < 0)
        return -1;
    int failed = 0;
    for (int64_t at = 0; at < near->others_count && !failed; at++)
        if (stands_between(near, &near->self->level[0].table, near->others[at]))
            failed = is_late(near) || find_other(near, near->others[at], masked) < 0;
    near->codes[near->at] = near->typed;
    return failed ? -1 : 0;
}

/* The lists of what is left on one side of the place; 0 if that stands nowhere, -1 on damage. */
static int look_beside(Near *near, int from, int to, Phrase *phrase)
{
    *phrase = (Phrase){.codes = near->codes + from, .length = to - from};
    return to - from > 1 ? look_up(near->self, phrase) : 1;
}

/* The words with another character at the place, in texts: the documents that have what is left
   are read where they are few; otherwise each character that is alike is looked for. */
static int find_in_texts(Near *near)
{
    const Kernel *self = near->self;
    Phrase side[2];
    int before = look_beside(near, 0, near->at, &side[0]);
    int behind = look_beside(near, near->at + 1, near->length, &side[1]);
    if (before < 0 || behind < 0)
        return -1;
    if (!before || !behind)
        return 0;
    int done[2] = {0, 0};
    int64_t count = -1;
    while (done[0] < side[0].lists || done[1] < side[1].lists) {
        int which = done[0] == side[0].lists
            || (done[1] < side[1].lists
                && side[1].list[done[1]].count < side[0].list[done[0]].count);
        const List *list = &side[which].list[done[which]++];
        if (count >= 0 && (uint64_t)count * VERIFY < list->count)
            break;
        uint16_t *into = count < 0 ? near->left : near->right;
        int64_t more = decode(self, list->table, list->entry, into, NULL);
        if (more < 0)
            return -1;
        count = count < 0 ? more : common_to(near->left, count, near->right, more);
    }
    if (count < 0)
        return find_others(near, 0);
    if (count <= READ_MAX || near->anything >> near->at & 1)
        return read_texts(near, count);
    memset(near->mask, 0, self->pages);
    for (int64_t at = 0; at < count; at++)
        near->mask[near->left[at]] = 1;
    return find_others(near, 1);
}

static int read_head(Near *near, uint16_t other, uint16_t document)
{
    const Kernel *self = near->self;
    uint32_t start = self->head_at[document], end = self->head_at[document + 1];
    uint32_t half = start + self->title_words[document];
    if (half > end)
        half = end;
    if (near->fields & IN_TITLE
        && count_in(self->head_words + start, half - start, near->codes, near->length)
        && add_spot(near, other, document, TITLE_SCORE, IN_TITLE) < 0)
        return -1;
    if (near->fields & IN_HEADING
        && count_in(self->head_words + half, end - half, near->codes, near->length)
        && add_spot(near, other, document, HEADING_SCORE, IN_HEADING) < 0)
        return -1;
    return 0;
}

static int find_in_heads(Near *near)
{
    if (list_others(near) < 0)
        return -1;
    int failed = 0;
    for (int64_t at = 0; at < near->others_count && !failed; at++) {
        uint16_t other = near->others[at];
        if (!stands_between(near, &near->self->heads, other))
            continue;
        near->codes[near->at] = other;
        Phrase phrase = {.codes = near->codes, .length = near->length};
        failed = look_in_heads(near->self, &phrase) < 0;
        int64_t count = failed ? -1 : decode(
            near->self, &near->self->heads, phrase.head, near->left, NULL);
        failed |= count < 0;
        for (int64_t place = 0; place < count && !failed; place++)
            failed = is_late(near) || read_head(near, other, near->left[place]) < 0;
        near->codes[near->at] = near->typed;
    }
    return failed ? -1 : 0;
}

static int find_all(Near *near)
{
    const Kernel *self = near->self;
    int first[2], last[2];
    int texts = near->fields & IN_TEXT
        && find_pairs(near, &self->level[0].table, near->pairs, &first[0], &last[0]);
    int heads = near->fields & (IN_TITLE | IN_HEADING)
        && find_pairs(near, &self->heads, near->head_pairs, &first[1], &last[1]);
    if (is_late(near))
        return -1;
    for (near->at = 0; near->at < near->length; near->at++) {
        if (!may_be_wrong(near, near->at))
            continue;
        near->typed = near->codes[near->at];
        near->marked = 0;
        near->others_count = -1;
        if (texts && first[0] <= near->at && near->at <= last[0] && find_in_texts(near) < 0)
            return -1;
        if (heads && first[1] <= near->at && near->at <= last[1] && find_in_heads(near) < 0)
            return -1;
    }
    return 0;
}

static int read_phrase(Near *near, PyObject *text)
{
    near->length = (int)PyUnicode_GetLength(text);
    if (near->length < 2 || near->length > LENGTH_MAX) {
        PyErr_SetString(PyExc_ValueError, "a phrase out of bounds");
        return -1;
    }
    for (int at = 0; at < near->length; at++) {
        near->codes[at] = code_of(near->self, PyUnicode_ReadChar(text, at));
        if (near->codes[at] >= near->self->code_count && near->codes[at])
            return damaged("a code");
    }
    return 0;
}

static int make_room(Near *near)
{
    size_t codes = near->self->code_count + 1, pages = near->self->pages + 2;
    size_t listed = pages > MANY ? pages : MANY;  /* a short list is copied before it is checked */
    near->others = PyMem_Malloc(2 * codes + 4 * listed + 2 * codes + listed + pages);
    if (!near->others) {
        PyErr_NoMemory();
        return -1;
    }
    near->left = near->others + codes;
    near->right = near->left + listed;
    near->heard = (uint8_t *)(near->right + listed);
    near->looks = near->heard + codes;
    near->counts = near->looks + codes;
    near->mask = near->counts + listed;
    return 0;
}

/* near(text, alike, late, anything, fields, mask): see _kernel.pyi */
PyObject *Kernel_near(PyObject *object, PyObject *arguments)
{
    PyObject *text, *allowed, *answer = NULL;
    Near near = {.self = (const Kernel *)object};
    Py_buffer mask = {0};
    unsigned int anything;
    if (!PyArg_ParseTuple(arguments, "UOOIiO", &text, &near.alike, &near.late, &anything,
                          &near.fields, &allowed))
        return NULL;
    near.anything = anything;
    if (allowed != Py_None && PyObject_GetBuffer(allowed, &mask, PyBUF_SIMPLE) < 0)
        return NULL;
    if (mask.buf && (size_t)mask.len != near.self->pages)
        PyErr_SetString(PyExc_ValueError, "a mask of another size");
    else if (read_phrase(&near, text) == 0 && make_room(&near) == 0) {
        if (find_all(&near) == 0) {
            join_fields(&near);
            answer = told_spots(&near, mask.buf);
        } else if (near.over == 1 && !PyErr_Occurred())
            answer = Py_NewRef(Py_None);
    }
    PyMem_Free(near.others);
    PyMem_Free(near.found);
    PyMem_Free(near.spots);
    if (mask.buf)
        PyBuffer_Release(&mask);
    return answer;
}
