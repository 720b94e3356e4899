/* Opening a segment's blocks, and the module. */

#include "kernel.h"

static int rises_within(const uint32_t *at, size_t count, size_t end)
{
    for (size_t place = 0; place < count; place++)
        if (at[place] > end || (place && at[place] < at[place - 1]))
            return 0;
    return 1;
}

static int read_table(Py_buffer *views, Table *table)
{
    table->first_at = views[0].buf;
    table->seconds = views[1].buf;
    table->sizes = views[2].buf;
    table->where = views[3].buf;
    table->lists = views[4].buf;
    table->longs = views[5].buf;
    table->gaps = views[6].buf;
    table->marks = views[7].buf;
    table->mark_at = views[8].buf;
    table->counts = views[9].buf;
    table->firsts = (size_t)views[0].len / 4;
    table->entries = (size_t)views[2].len;
    table->lists_count = (size_t)views[4].len / 2;
    table->longs_count = views[5].len < 8 ? 0 : (size_t)views[5].len / 8 - 1;
    table->gaps_count = (size_t)views[6].len;
    table->marks_count = (size_t)views[7].len;
    table->mark_at_count = (size_t)views[8].len / 4;
    table->counts_count = (size_t)views[9].len;
    return (size_t)views[1].len == 2 * table->entries && (size_t)views[3].len == 4 * table->entries;
}

static void index_points(Kernel *self)
{
    size_t at = 0;
    for (uint32_t byte = 0; byte <= 256; byte++) {
        while (at < self->points_count && self->points[at] < byte << 8)
            at++;
        self->point_at[byte] = (uint32_t)at;
    }
}

static int lay_out(Kernel *self)
{
    Py_buffer *view = self->views;
    self->points = view[0].buf;
    self->codes = view[1].buf;
    self->words = view[2].buf;
    self->word_at = view[3].buf;
    self->dampings = view[4].buf;
    self->totals = view[5].buf;
    self->champion_at = view[6].buf;
    self->champions = view[7].buf;
    self->champion_scores = view[8].buf;
    self->head_words = view[9].buf;
    self->head_at = view[10].buf;
    self->title_words = view[11].buf;
    self->beside = view[12].buf;
    self->points_count = (size_t)view[0].len / 4;
    self->pages = (size_t)view[4].len / 8;
    self->code_count = (size_t)view[5].len / 2;
    self->head_words_count = (size_t)view[9].len / 2;
    size_t words = (size_t)view[2].len / 2, champions = (size_t)view[7].len / 2;
    int sound = self->pages <= DOCUMENTS && (size_t)view[1].len == 2 * self->points_count
        && (size_t)view[3].len == 4 * (self->pages + 1)
        && (size_t)view[6].len == 4 * (self->code_count + 1)
        && view[8].len == view[7].len
        && (size_t)view[10].len == 4 * (self->pages + 1)
        && (size_t)view[11].len == 2 * self->pages
        && view[12].len > 0 && !(view[12].len & (view[12].len - 1))
        && rises_within(self->word_at, self->pages + 1, words)
        && rises_within(self->champion_at, self->code_count + 1, champions)
        && rises_within(self->head_at, self->pages + 1, self->head_words_count);
    for (size_t page = 0; sound && page < self->pages; page++)
        sound = self->word_at[page + 1] > self->word_at[page] && self->dampings[page] > 0;
    for (size_t place = 1; sound && place < self->points_count; place++)
        sound = self->points[place] > self->points[place - 1];
    index_points(self);
    while (sound && 8 * (uint64_t)view[12].len >> self->beside_bits > 1)
        self->beside_bits++;
    sound = sound && self->beside_bits <= 32;
    view += PLAIN_BLOCKS;
    sound = sound && read_table(view, &self->heads);
    view += TABLE_BLOCKS;
    for (int at = 0; at < LEVELS; at++) {
        Level *level = &self->level[at];
        sound = sound && read_table(view, &level->table);
        view += TABLE_BLOCKS;
        level->common = view[0].buf;
        level->champions = view[1].buf;
        level->often = view[2].buf;
        level->commons = (size_t)view[0].len / 4;
        sound = sound && (size_t)view[1].len == 2 * RUN_CHAMPIONS * level->commons
            && (size_t)view[2].len == RUN_CHAMPIONS * level->commons;
        view += LEVEL_BLOCKS;
    }
    return sound;
}

static void Kernel_dealloc(PyObject *object)
{
    Kernel *self = (Kernel *)object;
    PyTypeObject *type = Py_TYPE(object);
    for (int at = 0; at < self->held; at++)
        PyBuffer_Release(&self->views[at]);
    PyMem_Free(self->score);
    PyMem_Free(self->kept_score);
    PyMem_Free(self->sum);
    PyMem_Free(self->alive);
    PyMem_Free(self->counts);
    PyMem_Free(self->touched);
    PyMem_Free(self->living);
    PyMem_Free(self->left);
    PyMem_Free(self->right);
    freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);
    release(object);
    Py_DECREF(type);
}

static PyObject *Kernel_new(PyTypeObject *type, PyObject *arguments, PyObject *named)
{
    PyObject *blocks;
    if (named || !PyArg_ParseTuple(arguments, "O!", &PyTuple_Type, &blocks))
        return NULL;
    if (PyTuple_Size(blocks) != BLOCKS)
        return PyErr_Format(PyExc_ValueError, "%d blocks are needed", (int)BLOCKS);
    allocfunc allocate = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    Kernel *self = (Kernel *)allocate(type, 0);
    if (!self)
        return NULL;
    for (; self->held < BLOCKS; self->held++) {
        PyObject *block = PyTuple_GetItem(blocks, self->held);
        if (PyObject_GetBuffer(block, &self->views[self->held], PyBUF_SIMPLE) < 0)
            goto failed;
    }
    if (!lay_out(self)) {
        PyErr_SetString(PyExc_ValueError, "blocks that do not fit each other");
        goto failed;
    }
    size_t pages = self->pages + 2;
    self->score = PyMem_Calloc(pages, 4);
    self->kept_score = PyMem_Calloc(pages, 4);
    self->sum = PyMem_Calloc(pages, 8);
    self->alive = PyMem_Calloc(pages, 1);
    self->touched = PyMem_Calloc(pages, 2);
    self->living = PyMem_Calloc(pages, 2);
    size_t listed = pages > MANY ? pages : MANY;  /* a short list is copied before it is checked */
    self->counts = PyMem_Calloc(listed, 1);
    self->left = PyMem_Calloc(listed, 2);
    self->right = PyMem_Calloc(listed, 2);
    if (self->score && self->kept_score && self->sum && self->alive && self->counts
        && self->touched && self->living && self->left && self->right)
        return (PyObject *)self;
    PyErr_NoMemory();
failed:
    Py_DECREF(self);
    return NULL;
}

static PyMethodDef methods[] = {
    {"find", (PyCFunction)(void (*)(void))Kernel_find, METH_FASTCALL, NULL},
    {"near", Kernel_near, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_new, Kernel_new},
    {Py_tp_dealloc, Kernel_dealloc},
    {Py_tp_methods, methods},
    {0, NULL},
};

static PyType_Spec specification = {
    "search_shard._kernel.Kernel", sizeof(Kernel), 0, Py_TPFLAGS_DEFAULT, slots,
};

static int fill(PyObject *module)
{
    PyObject *type = PyType_FromSpec(&specification);
    if (!type)
        return -1;
    int failed = PyModule_AddObjectRef(module, "Kernel", type);
    Py_DECREF(type);
    return failed;
}

static PyModuleDef_Slot module_slots[] = {{Py_mod_exec, fill}, {0, NULL}};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "_kernel", NULL, 0, NULL, module_slots, NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit__kernel(void)
{
    return PyModuleDef_Init(&definition);
}
