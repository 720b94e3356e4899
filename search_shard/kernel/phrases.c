/* A phrase in codes: where to look for it, and how often it stands in a text. */

#include "kernel.h"

static void keep_list(Phrase *phrase, List list)
{
    int at = phrase->lists < LISTS ? phrase->lists++ : LISTS;
    for (; at > 0 && phrase->list[at - 1].count > list.count; at--)
        if (at < LISTS)
            phrase->list[at] = phrase->list[at - 1];
    if (at < LISTS)
        phrase->list[at] = list;
}

/* The lists of a phrase of two codes or more; 0 if it stands in no text, -1 on damage. */
int look_up(const Kernel *self, Phrase *phrase)
{
    uint16_t stack[64], *numbers = stack;
    int length = phrase->length, result = 0;
    phrase->lists = phrase->whole = 0;
    if (length > 64 && !(numbers = PyMem_Malloc(2 * (size_t)length))) {
        PyErr_NoMemory();
        return -1;
    }
    for (int at = 0; at + 1 < length; at++)
        numbers[at] = 0;
    for (int width = 2, common = 1; width <= LEVELS + 1 && width <= length && common; width++) {
        const Level *level = &self->level[width - 2];
        common = 0;
        for (int at = 0; at + width <= length; at++) {
            uint32_t first = phrase->codes[at];
            if (width > 2) {
                first = numbers[at];
                if (!first || !numbers[at + 1]) {
                    numbers[at] = 0;
                    continue;
                }
            }
            int64_t entry = find_entry(&level->table, first, phrase->codes[at + width - 1]);
            if (entry < 0)
                goto done;
            int64_t count = count_of(&level->table, (uint32_t)entry);
            if (count < 0) {
                result = -1;
                goto done;
            }
            List list = {&level->table, (uint32_t)entry, (uint32_t)count, width};
            if (width == length) {
                phrase->lists = phrase->whole = 1;
                phrase->list[0] = list;
                result = 1;
                goto done;
            }
            keep_list(phrase, list);
            numbers[at] = 0;
            if (count > COMMON_PAGES)
                numbers[at] = (uint16_t)number_of(level, (uint32_t)entry);
            common |= numbers[at] != 0;
        }
    }
    result = 1;
done:
    if (numbers != stack)
        PyMem_Free(numbers);
    return result;
}

/* Whether a phrase may stand in titles or headings; its rarest entry there. */
int look_in_heads(const Kernel *self, Phrase *phrase)
{
    int64_t fewest = -1;
    for (int at = 0; at + 1 < phrase->length; at++) {
        int64_t entry = find_entry(&self->heads, phrase->codes[at], phrase->codes[at + 1]);
        if (entry < 0)
            return 0;
        int64_t count = count_of(&self->heads, (uint32_t)entry);
        if (count < 0)
            return -1;
        if (fewest < 0 || count < fewest) {
            fewest = count;
            phrase->head = (uint32_t)entry;
        }
    }
    return 1;
}

/* The code of a folded character; 0 if no page has it. */
uint16_t code_of(const Kernel *self, uint32_t point)
{
    size_t low = self->point_at[256], high = self->points_count;
    if (point < 0x10000) {
        low = self->point_at[point >> 8];
        high = self->point_at[(point >> 8) + 1];
    }
    int64_t at = place_of(self->points, low, high, point);
    return at < 0 ? 0 : self->codes[at];
}

/* How often codes stand in words, up to COUNT_MAX, also where they overlap. */
uint32_t count_in(const uint16_t *words, size_t size, const uint16_t *codes, int length)
{
    uint32_t count = 0;
    if (size < (size_t)length)
        return 0;
    size_t last = size - (size_t)length + 1, at = 0;
    uint16_t first = codes[0], second = codes[length > 1];
    int step = length > 1;
    while (at < last) {
        size_t end = at + 32 <= last ? at + 32 : last;
        uint16_t any = 0;
        if (end - at == 32)
            for (int j = 0; j < 32; j++)
                any |= (uint16_t)((words[at + j] == first) & (words[at + j + step] == second));
        else
            any = 1;
        if (any)
            for (size_t place = at; place < end; place++)
                if (words[place] == first && words[place + step] == second
                    && (length < 3
                        || !memcmp(words + place, codes, 2 * (size_t)length)))
                    count++;
        at = end;
    }
    return count < COUNT_MAX ? count : COUNT_MAX;
}

int64_t count_in_text(const Kernel *self, uint16_t document, const Phrase *phrase)
{
    uint32_t start = self->word_at[document], end = self->word_at[document + 1];
    return count_in(self->words + start, end - start - 1, phrase->codes, phrase->length);
}

uint32_t text_score(const Kernel *self, uint16_t document, uint32_t count)
{
    uint64_t often = 1000u * (uint64_t)count;
    return count ? (uint32_t)(1000 * often / (often + (uint64_t)self->dampings[document])) : 0;
}
