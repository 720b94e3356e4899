/* Where words with a wrong character stand: gathered, put in order, told. */

#include "near.h"

int more_room(void **items, size_t *room, size_t size)
{
    size_t wanted = *room ? 2 * *room : 256;
    void *more = PyMem_Realloc(*items, wanted * size);
    if (!more) {
        PyErr_NoMemory();
        return -1;
    }
    *items = more;
    *room = wanted;
    return 0;
}

/* A word in a document: the code at the place, what it scores there, and in which field. */
int add_spot(Near *near, uint16_t code, uint16_t document, uint32_t detail, int field)
{
    if (near->count == near->room
        && more_room((void **)&near->spots, &near->room, sizeof(Spot)) < 0)
        return -1;
    Spot *spot = &near->spots[near->count++];
    spot->key = (uint64_t)near->at << 32 | (uint32_t)code << 16 | document;
    spot->detail = (uint16_t)detail;
    spot->fields = (uint8_t)field;
    judge(near, code, spot);
    return 0;
}

static int by_key(const void *left, const void *right)
{
    uint64_t a = ((const Spot *)left)->key, b = ((const Spot *)right)->key;
    return a < b ? -1 : a > b;
}

/* By rising place, code and document; what a document has in several fields is one. */
void join_fields(Near *near)
{
    size_t kept = 0;
    int ordered = 1;
    for (size_t at = 1; at < near->count && ordered; at++)
        ordered = near->spots[at - 1].key < near->spots[at].key;
    if (ordered)
        return;
    qsort(near->spots, near->count, sizeof(Spot), by_key);
    for (size_t at = 1; at < near->count; at++) {
        Spot *spot = &near->spots[kept], *next = &near->spots[at];
        if (spot->key == next->key) {
            spot->detail += next->detail;
            spot->fields |= next->fields;
        } else
            near->spots[++kept] = *next;
    }
    near->count = kept + 1;
}

PyObject *told_spots(const Near *near, const uint8_t *allowed)
{
    enum { PLACES, CODES, LIKENESS, RULES, PAGES, NUMBERS, DOCUMENTS_OF, DETAILS, FIELDS, COLUMNS };
    static const int width[COLUMNS] = {1, 2, 1, 1, 4, 4, 2, 2, 1};
    size_t words = 0;
    for (size_t at = 0; at < near->count; at++)
        words += !at || near->spots[at].key >> 16 != near->spots[at - 1].key >> 16;
    PyObject *answer = PyTuple_New(COLUMNS);
    void *column[COLUMNS];
    for (int at = 0; answer && at < COLUMNS; at++) {
        size_t size = (at < NUMBERS ? words : near->count) * (size_t)width[at];
        PyObject *bytes = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)size);
        if (!bytes) {
            Py_CLEAR(answer);
            return NULL;
        }
        column[at] = PyBytes_AsString(bytes);
        PyTuple_SetItem(answer, at, bytes);
    }
    uint32_t word = UINT32_MAX;
    for (size_t at = 0; answer && at < near->count; at++) {
        const Spot *spot = &near->spots[at];
        uint16_t document = (uint16_t)spot->key;
        if (!at || spot->key >> 16 != spot[-1].key >> 16) {
            word++;
            ((uint8_t *)column[PLACES])[word] = (uint8_t)(spot->key >> 32);
            ((uint16_t *)column[CODES])[word] = (uint16_t)(spot->key >> 16);
            ((int8_t *)column[LIKENESS])[word] = spot->likeness;
            ((uint8_t *)column[RULES])[word] = spot->rule;
            ((uint32_t *)column[PAGES])[word] = 0;
        }
        ((uint32_t *)column[PAGES])[word] += !allowed || allowed[document];
        ((uint32_t *)column[NUMBERS])[at] = word;
        ((uint16_t *)column[DOCUMENTS_OF])[at] = document;
        ((uint16_t *)column[DETAILS])[at] = spot->detail;
        ((uint8_t *)column[FIELDS])[at] = spot->fields;
    }
    return answer;
}
