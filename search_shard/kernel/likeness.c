/* Which characters are like the one typed, by sound or by shape, and how much: as
   search_shard/likeness.py says. */

#include "near.h"

enum {
    BOTH = 3, NEITHER = -14,
    LOOKS_MOST = 10, LOOKS_MORE = 40, LOOKS_BITS_MOST = 8, LOOKS_BITS_MORE = 4,
    MAY_SOUND = 4,
};

/* How a code at the place came to be there, and how likely. */
void judge(const Near *near, uint16_t code, Spot *spot)
{
    int heard = near->heard[code], looks = near->looks[code];
    int most = heard > looks ? heard : looks;
    spot->rule = heard ? SOUND : looks ? SHAPE : OTHER;
    spot->likeness = (int8_t)(most ? most - 1 + (heard && looks ? BOTH : 0) : NEITHER);
}

static void mark(uint8_t *bits, uint16_t code, int more)
{
    if (code && bits[code] < more + 1)
        bits[code] = (uint8_t)(more + 1);
}

static int mark_ranges(Near *near, PyObject *ranges)
{
    for (Py_ssize_t at = 0; at < PyTuple_Size(ranges); at++) {
        long low, high, bits;
        PyObject *range = PyTuple_GetItem(ranges, at);
        if (!PyTuple_Check(range)) {
            PyErr_SetString(PyExc_TypeError, "a range is three numbers");
            return -1;
        }
        if (!PyArg_ParseTuple(range, "lll", &low, &high, &bits))
            return -1;
        if (low < 1 || high > (long)near->self->code_count || bits < 0 || bits > 100)
            return damaged("a range of codes");
        for (long code = low; code < high; code++)
            mark(near->heard, (uint16_t)code, (int)bits);
    }
    return 0;
}

static int mark_text(Near *near, PyObject *text, uint8_t *bits)
{
    for (Py_ssize_t at = 0; at < PyUnicode_GetLength(text); at++) {
        uint16_t code = code_of(near->self, PyUnicode_ReadChar(text, at));
        if (code >= near->self->code_count)
            return damaged("a code");
        mark(bits, code, bits == near->heard ? MAY_SOUND : at < LOOKS_MOST ? LOOKS_BITS_MOST
             : at < LOOKS_MORE ? LOOKS_BITS_MORE : 0);
    }
    return 0;
}

/* Marks what is like the character typed at the place. */
int mark_alike(Near *near)
{
    if (near->marked)
        return 0;
    size_t codes = near->self->code_count;
    memset(near->heard, 0, codes);
    memset(near->looks, 0, codes);
    PyObject *parts = PyObject_CallFunction(near->alike, "i", near->at);
    PyObject *ranges, *heard, *looks;
    if (parts && !PyTuple_Check(parts))
        PyErr_SetString(PyExc_TypeError, "what is alike is three things");
    int failed = !parts || PyErr_Occurred() || !PyArg_ParseTuple(parts, "O!UU", &PyTuple_Type, &ranges, &heard, &looks)
        || mark_ranges(near, ranges) < 0 || mark_text(near, heard, near->heard) < 0
        || mark_text(near, looks, near->looks) < 0;
    Py_XDECREF(parts);
    near->marked = !failed;
    return failed ? -1 : 0;
}

static int may_have(const Kernel *self, uint16_t first, uint16_t second)
{
    uint32_t hash = ((uint32_t)first << 16 | second) * 2654435761u;
    hash = self->beside_bits ? hash >> (32 - self->beside_bits) : 0;
    return self->beside[hash >> 3] >> (hash & 7) & 1;
}

/* Lists those alike that may stand between the neighbours of the place. */
int list_others(Near *near)
{
    if (near->others_count >= 0)
        return 0;
    if (mark_alike(near) < 0)
        return -1;
    int at = near->at, last = near->length - 1;
    near->others_count = 0;
    for (size_t code = 1; code < near->self->code_count; code++)
        if ((near->heard[code] || near->looks[code]) && code != near->typed
            && (!at || may_have(near->self, near->codes[at - 1], (uint16_t)code))
            && (at == last || may_have(near->self, (uint16_t)code, near->codes[at + 1])))
            near->others[near->others_count++] = (uint16_t)code;
    return 0;
}
