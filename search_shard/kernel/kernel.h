/* Words as typed, all of which must occur: what is asked most, answered on the bytes of a segment.

   The same answers as search_shard/search.py gives, which is the definition and what answers where
   no compiler was at hand; tests compare the two.  Blocks and lists: docs/spec/segment.md; scores:
   search_shard/rank.py.  Nothing in a segment is believed: a number that leads out of its block
   raises ValueError.
*/

#ifndef FANGZHI_KERNEL_H
#define FANGZHI_KERNEL_H

#define Py_LIMITED_API 0x030B0000
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "segments are little-endian and read in place"
#endif

enum {
    DOCUMENTS = 65536,
    LEVELS = 7,           /* runs of 2 to 8 codes */
    LISTS = 6,            /* of a phrase, the shortest ones */
    TABLE_BLOCKS = 10,
    LEVEL_BLOCKS = 3,
    PLAIN_BLOCKS = 13,
    BLOCKS = PLAIN_BLOCKS + TABLE_BLOCKS + LEVELS * (TABLE_BLOCKS + LEVEL_BLOCKS),
    COMMON_PAGES = 512,   /* a run on more of them may be among the common ones */
    RUN_CHAMPIONS = 32,
    CHAMPIONS = 64,
    LIMIT_MAX = 1024,
    COUNT_MAX = 255,
    CLASS_STEP = 10000,
    TITLE_SCORE = 4000,
    HEADING_SCORE = 2000,
    ONE = 1, TWO = 0, MANY = 255, GAP = 255, MARKED = 256,
    VERIFY = 400,         /* documents of a list decoded while one text is read */
};

typedef struct {
    const uint32_t *first_at;
    const uint16_t *seconds;
    const uint8_t *sizes;
    const uint32_t *where;
    const uint16_t *lists;
    const uint32_t *longs;
    const uint8_t *gaps, *marks;
    const uint32_t *mark_at;
    const uint8_t *counts;
    size_t firsts, entries, lists_count, longs_count, gaps_count, marks_count, mark_at_count,
        counts_count;
} Table;

typedef struct {
    Table table;
    const uint32_t *common;
    const uint16_t *champions;
    const uint8_t *often;
    size_t commons;
} Level;

typedef struct {
    const Table *table;
    uint32_t entry, count;
    int width;
} List;

typedef struct {
    int32_t base;         /* the class of its rule */
    int length, lists, whole, in_heads;
    uint16_t *codes;
    List list[LISTS];     /* the shortest first; the whole answer alone */
    uint32_t head;        /* the rarest entry among the titles and headings */
} Phrase;

typedef struct {
    uint32_t weight;
    int phrases;
    Phrase *phrase;       /* those that may stand here */
    uint64_t size;        /* at most so many documents */
} Word;

typedef struct {
    PyObject_HEAD
    Py_buffer views[BLOCKS];
    int held;
    size_t pages, code_count, points_count, head_words_count;
    const uint32_t *points, *word_at, *champion_at, *head_at;
    const uint16_t *codes, *words, *totals, *champions, *champion_scores, *head_words,
        *title_words;
    const int64_t *dampings;
    const uint8_t *beside;  /* a filter of pairs, see search_shard/postings.py */
    int beside_bits;      /* of a hash in it */
    uint32_t point_at[257];  /* the first point of each higher byte below 65,536; the end */
    Table heads;
    Level level[LEVELS];
    /* scratch, zero between two questions; guarded by the interpreter's lock, which is kept */
    uint32_t *score, *kept_score;
    uint64_t *sum;
    uint8_t *alive, *counts;
    uint16_t *touched, *living, *left, *right;
    uint32_t touched_count, living_count;
} Kernel;

/* What a question is limited to. */
typedef struct {
    const uint8_t *mask;  /* of each document whether it may be found; NULL: all */
    int restricted;       /* to the living */
} Within;

/* The best keys, score << 16 | 65,535 − document, kept as a heap whose least is first. */
typedef struct {
    uint64_t key[LIMIT_MAX];
    int count, limit;
} Best;

static inline int damaged(const char *what)
{
    PyErr_Format(PyExc_ValueError, "%s leads out of its block", what);
    return -1;
}

int64_t find_entry(const Table *table, uint32_t first, uint16_t second);
int64_t count_of(const Table *table, uint32_t entry);
int64_t decode(const Kernel *self, const Table *table, uint32_t entry, uint16_t *documents,
               uint8_t *counts);
int64_t place_of(const uint32_t *rising, size_t low, size_t high, uint32_t wanted);
int64_t number_of(const Level *level, uint32_t entry);
int look_up(const Kernel *self, Phrase *phrase);
int look_in_heads(const Kernel *self, Phrase *phrase);
uint16_t code_of(const Kernel *self, uint32_t point);
uint32_t count_in(const uint16_t *words, size_t size, const uint16_t *codes, int length);
int64_t count_in_text(const Kernel *self, uint16_t document, const Phrase *phrase);
int64_t common_to(uint16_t *few, int64_t few_count, const uint16_t *many, int64_t many_count);
uint32_t text_score(const Kernel *self, uint16_t document, uint32_t count);
int find_word(Kernel *self, const Word *word, const Within *within);
PyObject *Kernel_find(PyObject *object, PyObject *const *arguments, Py_ssize_t given);
PyObject *Kernel_near(PyObject *object, PyObject *arguments);

#endif
