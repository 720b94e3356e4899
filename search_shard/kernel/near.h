/* What the search for one wrong character has at hand: see near.c. */

#ifndef FANGZHI_NEAR_H
#define FANGZHI_NEAR_H

#include "kernel.h"

enum {
    LENGTH_MAX = 32,
    READ_MAX = 400,       /* documents that are read before like characters are looked for */
    READ_AGAIN = 64,      /* documents between two looks at the clock */
    IN_TEXT = 1, IN_TITLE = 2, IN_HEADING = 4,
    SOUND = 0, SHAPE = 1, OTHER = 2,
};

typedef struct {
    uint64_t key;         /* place << 32 | code << 16 | document */
    uint16_t detail;      /* of the score, below the class */
    uint8_t fields, rule;
    int8_t likeness;
} Spot;

typedef struct {
    const Kernel *self;
    PyObject *alike, *late;
    int length, at, fields, over;
    uint32_t anything;    /* a bit for each place where any other character may stand */
    uint16_t codes[LENGTH_MAX], typed;  /* typed: the code at the place */
    int64_t pairs[LENGTH_MAX], head_pairs[LENGTH_MAX];  /* entries of neighbours; -1: none */
    uint8_t *heard, *looks;  /* of each code half bits and one more; 0: not alike */
    int marked;           /* whether they are those of the place */
    uint16_t *others, *left, *right;  /* others: alike to what was typed, rising */
    int64_t others_count;
    uint8_t *counts, *mask;
    uint32_t *found;      /* code << 16 | document of what was read */
    size_t found_count, found_room;
    Spot *spots;
    size_t count, room;
    uint32_t looked;
} Near;

int more_room(void **items, size_t *room, size_t size);
int add_spot(Near *near, uint16_t code, uint16_t document, uint32_t detail, int field);
void join_fields(Near *near);
PyObject *told_spots(const Near *near, const uint8_t *allowed);
int mark_alike(Near *near);
int list_others(Near *near);
void judge(const Near *near, uint16_t code, Spot *spot);

#endif
