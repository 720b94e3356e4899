/* A question: its words in turn, the rarest first, and the best of what is left. */

#include "kernel.h"

/* Fills in the phrases of a word that may stand here; -1 on an error. */
static int read_word(const Kernel *self, PyObject *typed, Word *word)
{
    PyObject *phrases;
    long weight;
    if (!PyArg_ParseTuple(typed, "lO!", &weight, &PyTuple_Type, &phrases))
        return -1;
    Py_ssize_t count = PyTuple_Size(phrases);
    word->weight = (uint32_t)weight;
    word->phrase = PyMem_Calloc((size_t)count + 1, sizeof(Phrase));
    if (!word->phrase) {
        PyErr_NoMemory();
        return -1;
    }
    for (Py_ssize_t at = 0; at < count; at++) {
        Phrase *phrase = &word->phrase[word->phrases];
        PyObject *text;
        int base;
        if (!PyArg_ParseTuple(PyTuple_GetItem(phrases, at), "iU", &base, &text))
            return -1;
        Py_ssize_t length = PyUnicode_GetLength(text);
        PyMem_Free(phrase->codes);  /* of one that stands nowhere */
        memset(phrase, 0, sizeof *phrase);
        if (base < 1) {
            PyErr_SetString(PyExc_ValueError, "a class from 1 is needed");
            return -1;
        }
        if (length < 1)
            continue;
        if (!(phrase->codes = PyMem_Malloc(2 * (size_t)length))) {
            PyErr_NoMemory();
            return -1;
        }
        phrase->base = base;
        phrase->length = (int)length;
        int known = 1;
        for (Py_ssize_t place = 0; place < length && known; place++) {
            phrase->codes[place] = code_of(self, PyUnicode_ReadChar(text, place));
            known = phrase->codes[place] && phrase->codes[place] < self->code_count;
        }
        if (!known)
            continue;
        if (length == 1) {
            word->size += self->totals[phrase->codes[0]] + 1u;
            word->phrases++;
            continue;
        }
        int in_texts = look_up(self, phrase), in_heads = look_in_heads(self, phrase);
        if (in_texts < 0 || in_heads < 0)
            return -1;
        if (!in_texts)
            phrase->lists = 0;
        phrase->in_heads = in_heads;
        if (in_texts || in_heads) {
            word->size += phrase->lists ? phrase->list[0].count : 0;
            word->phrases++;
        }
    }
    return 0;
}

static void offer(Best *best, uint64_t key)
{
    int at;
    if (best->count < best->limit) {
        at = best->count++;
        for (; at > 0 && best->key[(at - 1) / 2] > key; at = (at - 1) / 2)
            best->key[at] = best->key[(at - 1) / 2];
    } else {
        if (!best->limit || key <= best->key[0])
            return;
        at = 0;
        for (int child; (child = 2 * at + 1) < best->count; at = child) {
            if (child + 1 < best->count && best->key[child + 1] < best->key[child])
                child++;
            if (best->key[child] >= key)
                break;
            best->key[at] = best->key[child];
        }
    }
    best->key[at] = key;
}

static int falling(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
    return a < b ? 1 : a > b ? -1 : 0;
}

static uint64_t key_of(uint32_t score, uint16_t document)
{
    return (uint64_t)score << 16 | (0xFFFFu - document);
}

/* What is kept of a single phrase's best documents; 0 if that is not the whole answer. */
static int shortcut(const Kernel *self, const Word *word, Best *best, uint64_t *total)
{
    const Phrase *phrase = word->phrase;
    if (word->phrases != 1)
        return 0;
    if (phrase->length == 1) {
        uint32_t low = self->champion_at[phrase->codes[0]];
        uint32_t high = self->champion_at[phrase->codes[0] + 1];
        if (best->limit > CHAMPIONS)
            return 0;
        *total = high > low ? self->totals[phrase->codes[0]] + 1u : 0;
        for (uint32_t at = low; at < high && best->count < best->limit; at++) {
            uint32_t score = (uint32_t)phrase->base + self->champion_scores[at];
            best->key[best->count++] = key_of(score, self->champions[at]);
        }
        return 1;
    }
    if (!phrase->whole || phrase->in_heads || phrase->list->count <= COMMON_PAGES
        || best->limit > RUN_CHAMPIONS)
        return 0;
    const Level *level = &self->level[phrase->list->width - 2];
    int64_t number = number_of(level, phrase->list->entry);
    if (!number)
        return 0;
    *total = phrase->list->count;
    size_t at = (size_t)(number - 1) * RUN_CHAMPIONS;
    for (int place = 0; place < best->limit; place++) {
        uint16_t document = level->champions[at + place];
        if (document >= self->pages)
            return damaged("a document");
        uint32_t score = text_score(self, document, level->often[at + place]);
        best->key[best->count++] = key_of((uint32_t)phrase->base + score, document);
    }
    return 1;
}

static void forget_touched(Kernel *self)
{
    for (uint32_t at = 0; at < self->touched_count; at++)
        self->score[self->touched[at]] = 0;
    self->touched_count = 0;
}

static void forget_living(Kernel *self)
{
    for (uint32_t at = 0; at < self->living_count; at++) {
        uint16_t document = self->living[at];
        self->alive[document] = 0;
        self->sum[document] = self->kept_score[document] = 0;
    }
    self->living_count = 0;
}

/* The documents that were touched live on, with the sum of what their words score. */
static void live_on(Kernel *self, uint32_t weight)
{
    for (uint32_t at = 0; at < self->living_count; at++)
        self->alive[self->living[at]] = 0;
    for (uint32_t at = 0; at < self->touched_count; at++) {
        uint16_t document = self->touched[at];
        uint32_t score = self->score[document], detail = score % CLASS_STEP;
        uint32_t class = score - detail, held = self->kept_score[document];
        self->alive[document] = 1;
        self->sum[document] += (uint64_t)weight * detail;
        self->kept_score[document] = held && held < class ? held : class;
    }
    for (uint32_t at = 0; at < self->living_count; at++) {
        uint16_t document = self->living[at];
        if (!self->alive[document])
            self->sum[document] = self->kept_score[document] = 0;
    }
    uint16_t *living = self->living;
    self->living = self->touched;
    self->touched = living;
    self->living_count = self->touched_count;
    self->touched_count = 0;
    for (uint32_t at = 0; at < self->living_count; at++)
        self->score[self->living[at]] = 0;
}

static int by_size(const void *left, const void *right)
{
    uint64_t a = ((const Word *)left)->size, b = ((const Word *)right)->size;
    return a < b ? -1 : a > b ? 1 : 0;
}

static int find_words(Kernel *self, Word *words, int count, const uint8_t *mask)
{
    Within within = {mask, 0};
    if (count == 1)
        return find_word(self, words, &within);
    qsort(words, (size_t)count, sizeof(Word), by_size);
    for (int at = 0; at < count; at++) {
        if (find_word(self, &words[at], &within) < 0)
            return -1;
        live_on(self, words[at].weight);
        within.restricted = 1;
        if (!self->living_count)
            break;
    }
    return 0;
}

static uint64_t rank_found(Kernel *self, int count, uint64_t weights, uint64_t below, Best *best)
{
    const uint16_t *found = count == 1 ? self->touched : self->living;
    uint32_t size = count == 1 ? self->touched_count : self->living_count;
    for (uint32_t at = 0; at < size; at++) {
        uint16_t document = found[at];
        uint32_t score = self->score[document];
        if (count > 1)
            score = self->kept_score[document] + (uint32_t)(self->sum[document] / weights);
        uint64_t key = key_of(score, document);
        if (key < below)
            offer(best, key);
    }
    return size;
}

static PyObject *every_document(const Kernel *self, int count)
{
    const uint16_t *found = count == 1 ? self->touched : self->living;
    uint32_t size = count == 1 ? self->touched_count : self->living_count, filled = 0;
    PyObject *bytes = PyBytes_FromStringAndSize(NULL, 2 * (Py_ssize_t)size);
    uint8_t *here = PyMem_Calloc(self->pages + 1, 1);
    if (!bytes || !here) {
        Py_XDECREF(bytes);
        PyMem_Free(here);
        return PyErr_NoMemory();
    }
    for (uint32_t at = 0; at < size; at++)
        here[found[at]] = 1;
    uint16_t *rising = (uint16_t *)PyBytes_AsString(bytes);
    for (uint32_t document = 0; document < self->pages; document++)
        if (here[document])
            rising[filled++] = (uint16_t)document;
    PyMem_Free(here);
    return bytes;
}

static PyObject *told(uint64_t total, Best *best, PyObject *segment, PyObject *every)
{
    qsort(best->key, (size_t)best->count, sizeof(uint64_t), falling);
    PyObject *hits = PyList_New(best->count);
    for (int at = 0; hits && at < best->count; at++) {
        PyObject *score = PyLong_FromLong((long)(best->key[at] >> 16));
        PyObject *document = PyLong_FromLong(0xFFFF - (long)(best->key[at] & 0xFFFF));
        PyObject *hit = score && document ? PyTuple_Pack(3, score, segment, document) : NULL;
        Py_XDECREF(score);
        Py_XDECREF(document);
        if (!hit)
            Py_CLEAR(hits);
        else
            PyList_SetItem(hits, at, hit);
    }
    return Py_BuildValue("KNN", (unsigned long long)total, hits, every);
}

/* find(words, limit, mask, below, every, segment): see _kernel.pyi */
PyObject *Kernel_find(PyObject *object, PyObject *const *arguments, Py_ssize_t given)
{
    Kernel *self = (Kernel *)object;
    Best best;
    Py_buffer mask = {0};
    PyObject *answer = NULL;
    if (given != 6 || !PyTuple_Check(arguments[0])) {
        PyErr_SetString(PyExc_TypeError, "find(words, limit, mask, below, every, segment)");
        return NULL;
    }
    long limit = PyLong_AsLong(arguments[1]);
    uint64_t below = PyLong_AsUnsignedLongLong(arguments[3]), total = 0, weights = 0;
    int every = PyObject_IsTrue(arguments[4]);
    Py_ssize_t count = PyTuple_Size(arguments[0]);
    if (PyErr_Occurred())
        return NULL;
    if (limit < 0 || limit > LIMIT_MAX || count < 1 || count > 1000) {
        PyErr_SetString(PyExc_ValueError, "words or limit out of bounds");
        return NULL;
    }
    if (arguments[2] != Py_None) {
        if (PyObject_GetBuffer(arguments[2], &mask, PyBUF_SIMPLE) < 0)
            return NULL;
        if ((size_t)mask.len != self->pages) {
            PyErr_SetString(PyExc_ValueError, "a mask of another size");
            PyBuffer_Release(&mask);
            return NULL;
        }
    }
    best.count = 0;
    best.limit = (int)limit;
    Word *words = PyMem_Calloc((size_t)count, sizeof(Word));
    if (!words) {
        PyErr_NoMemory();
        goto done;
    }
    int may = 1;
    for (Py_ssize_t at = 0; at < count; at++) {
        if (read_word(self, PyTuple_GetItem(arguments[0], at), &words[at]) < 0)
            goto done;
        weights += words[at].weight;
        may &= words[at].phrases > 0;
    }
    if (!weights)
        weights = 1;
    int quick = 0;
    if (may && count == 1 && !mask.buf && below == UINT64_MAX && !every)
        quick = shortcut(self, words, &best, &total);
    if (quick < 0)
        goto done;
    if (may && !quick) {
        if (find_words(self, words, (int)count, mask.buf) < 0)
            goto done;
        total = rank_found(self, (int)count, weights, below, &best);
    }
    PyObject *documents = every ? every_document(self, (int)count) : Py_NewRef(Py_None);
    if (documents)
        answer = told(total, &best, arguments[5], documents);
done:
    forget_touched(self);
    forget_living(self);
    for (Py_ssize_t at = 0; words && at < count; at++) {
        for (int place = 0; words[at].phrase && place <= words[at].phrases; place++)
            PyMem_Free(words[at].phrase[place].codes);
        PyMem_Free(words[at].phrase);
    }
    PyMem_Free(words);
    if (mask.buf)
        PyBuffer_Release(&mask);
    return answer;
}
