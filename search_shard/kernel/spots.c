/* One wrong character: how often words that differ in one place stand in texts. */

#include "kernel.h"

typedef struct {
    uint16_t *codes;
    int length, at;
} Pattern;

/* A copy of codes (a buffer of u16) with a place among them; 0 on an error. */
static int read_pattern(PyObject *codes, PyObject *at, Pattern *pattern)
{
    Py_buffer view;
    long place = PyLong_AsLong(at);
    if (PyErr_Occurred() || PyObject_GetBuffer(codes, &view, PyBUF_SIMPLE) < 0)
        return 0;
    pattern->length = (int)(view.len / 2);
    pattern->at = (int)place;
    pattern->codes = PyMem_Malloc((size_t)view.len + 2);
    if (!pattern->codes)
        PyErr_NoMemory();
    else if (view.len < 4 || view.len > 1 << 16 || place < 0 || place >= pattern->length) {
        PyErr_SetString(PyExc_ValueError, "codes or place out of bounds");
        PyMem_Free(pattern->codes);
        pattern->codes = NULL;
    } else
        memcpy(pattern->codes, view.buf, (size_t)view.len);
    PyBuffer_Release(&view);
    return pattern->codes != NULL;
}

/* often(codes, at, others, keys): see _kernel.pyi */
PyObject *Kernel_often(PyObject *object, PyObject *const *arguments, Py_ssize_t given)
{
    Kernel *self = (Kernel *)object;
    Pattern pattern = {0};
    Py_buffer others = {0}, keys = {0};
    PyObject *counts = NULL;
    if (given != 4) {
        PyErr_SetString(PyExc_TypeError, "often(codes, at, others, keys)");
        return NULL;
    }
    if (!read_pattern(arguments[0], arguments[1], &pattern)
        || PyObject_GetBuffer(arguments[2], &others, PyBUF_SIMPLE) < 0
        || PyObject_GetBuffer(arguments[3], &keys, PyBUF_SIMPLE) < 0)
        goto done;
    size_t size = (size_t)keys.len / 8, many = (size_t)others.len / 2;
    counts = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)size);
    if (!counts)
        goto done;
    uint8_t *filled = (uint8_t *)PyBytes_AsString(counts);
    for (size_t at = 0; at < size; at++) {
        uint64_t key = ((const uint64_t *)keys.buf)[at];
        if (key >> 16 >= many || (key & 0xFFFF) >= self->pages) {
            damaged("a key");
            Py_CLEAR(counts);
            goto done;
        }
        pattern.codes[pattern.at] = ((const uint16_t *)others.buf)[key >> 16];
        uint32_t start = self->word_at[key & 0xFFFF], end = self->word_at[(key & 0xFFFF) + 1];
        filled[at] = (uint8_t)count_in(
            self->words + start, end - start - 1, pattern.codes, pattern.length);
    }
done:
    PyMem_Free(pattern.codes);
    if (others.obj)
        PyBuffer_Release(&others);
    if (keys.obj)
        PyBuffer_Release(&keys);
    return counts;
}

/* Whether the codes before and behind the place stand around a word. */
static int stands_around(const uint16_t *word, const Pattern *pattern)
{
    size_t before = (size_t)pattern->at, behind = (size_t)(pattern->length - pattern->at - 1);
    return !memcmp(word - before, pattern->codes, 2 * before)
        && !memcmp(word + 1, pattern->codes + before + 1, 2 * behind);
}

/* around(codes, at, documents): see _kernel.pyi */
PyObject *Kernel_around(PyObject *object, PyObject *const *arguments, Py_ssize_t given)
{
    Kernel *self = (Kernel *)object;
    Pattern pattern = {0};
    Py_buffer documents = {0};
    PyObject *answer = NULL;
    uint32_t *keys = NULL;
    size_t filled = 0, room = 0;
    if (given != 3) {
        PyErr_SetString(PyExc_TypeError, "around(codes, at, documents)");
        return NULL;
    }
    if (!read_pattern(arguments[0], arguments[1], &pattern)
        || PyObject_GetBuffer(arguments[2], &documents, PyBUF_SIMPLE) < 0)
        goto done;
    /* a code beside the place, and how far from it: what is looked for first */
    int shift = pattern.at ? -1 : 1;
    uint16_t beside = pattern.codes[pattern.at + shift];
    for (size_t number = 0; number < (size_t)documents.len / 2; number++) {
        uint16_t document = ((const uint16_t *)documents.buf)[number];
        if (document >= self->pages) {
            damaged("a document");
            goto done;
        }
        const uint16_t *text = self->words + self->word_at[document];
        int64_t size = (int64_t)self->word_at[document + 1] - self->word_at[document] - 1;
        int64_t last = size - (pattern.length - pattern.at);
        for (int64_t at = pattern.at; at <= last; at++) {
            if (text[at + shift] != beside || text[at] == pattern.codes[pattern.at]
                || !stands_around(text + at, &pattern))
                continue;
            if (filled == room) {
                room = room ? 2 * room : 64;
                uint32_t *more = PyMem_Realloc(keys, 4 * room);
                if (!more) {
                    PyErr_NoMemory();
                    goto done;
                }
                keys = more;
            }
            keys[filled++] = (uint32_t)text[at] << 16 | document;
        }
    }
    answer = PyBytes_FromStringAndSize((const char *)keys, (Py_ssize_t)(4 * filled));
done:
    PyMem_Free(pattern.codes);
    PyMem_Free(keys);
    if (documents.obj)
        PyBuffer_Release(&documents);
    return answer;
}
