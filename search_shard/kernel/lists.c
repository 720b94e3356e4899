/* Lists of documents: an entry of a table, how many documents it has, which, and how often. */

#include "kernel.h"

int64_t find_entry(const Table *table, uint32_t first, uint16_t second)
{
    if (first + 1 >= table->firsts)
        return -1;
    uint32_t low = table->first_at[first], high = table->first_at[first + 1], end = high;
    if (high > table->entries || low > high)
        return -1;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (table->seconds[middle] < second)
            low = middle + 1;
        else
            high = middle;
    }
    return low < end && table->seconds[low] == second ? (int64_t)low : -1;
}

int64_t count_of(const Table *table, uint32_t entry)
{
    uint8_t size = table->sizes[entry];
    if (size != MANY)
        return size == TWO ? 2 : size;
    uint32_t number = table->where[entry];
    if (number >= table->longs_count)
        return damaged("a long list");
    int64_t count = (int64_t)table->longs[2 * number + 3] - table->longs[2 * number + 1];
    return count < 0 || count > DOCUMENTS ? damaged("a long list") : count;
}

static int64_t decode_long(const Kernel *self, const Table *table, uint32_t entry,
                           uint16_t *documents)
{
    int64_t count = count_of(table, entry), filled = 0;
    if (count < 0)
        return -1;
    uint32_t start = table->longs[2 * table->where[entry]];
    uint32_t end = table->longs[2 * table->where[entry] + 2], document = 0;
    if (start > end || end > table->gaps_count || count > (int64_t)self->pages)
        return damaged("a long list");
    for (uint32_t at = start; at < end; at++) {
        document += table->gaps[at];
        if (table->gaps[at] == GAP)
            continue;
        if (filled == count)
            return damaged("a gap");
        documents[filled++] = (uint16_t)document;
    }
    return filled == count && document < self->pages ? count : damaged("a gap");
}

/* How often each of count postings stands in its document; 1 where nothing is marked. */
static int read_counts(const Table *table, size_t posting, int64_t count, uint8_t *counts)
{
    size_t end = posting + (size_t)count, start = posting / MARKED * MARKED, rank;
    memset(counts, 1, (size_t)count);
    if ((end + 7) / 8 > table->marks_count || start / MARKED >= table->mark_at_count)
        return damaged("a mark");
    rank = table->mark_at[start / MARKED];
    for (size_t at = start; at < end; at++) {
        uint8_t bits = table->marks[at >> 3];
        if (!(at & 7) && !bits) {
            at += 7;
            continue;
        }
        if (!(bits & 0x80 >> (at & 7)))
            continue;
        if (at >= posting) {
            if (rank >= table->counts_count)
                return damaged("a count");
            counts[at - posting] = table->counts[rank];
        }
        rank++;
    }
    return 0;
}

/* Documents of an entry, rising, and how often each has it (counts may be NULL); -1 on damage. */
int64_t decode(const Kernel *self, const Table *table, uint32_t entry, uint16_t *documents,
                      uint8_t *counts)
{
    uint8_t size = table->sizes[entry];
    uint32_t where = table->where[entry];
    if (size == ONE || size == TWO) {
        documents[0] = where & 0xFFFF;
        documents[1] = where >> 16;
        if (counts) {
            counts[0] = size == ONE ? (uint8_t)(where >> 16) : 1;
            counts[1] = 1;
        }
        if (documents[0] >= self->pages || (size == TWO && documents[1] >= self->pages))
            return damaged("a document");
        return size == ONE ? 1 : 2;
    }
    int64_t count = size;
    size_t posting = where;
    if (size == MANY) {
        count = decode_long(self, table, entry, documents);
        if (count < 0)
            return -1;
        posting = table->longs[2 * where + 1];
    } else {
        if (posting + (size_t)count > table->lists_count)
            return damaged("a list");
        memcpy(documents, table->lists + posting, 2 * (size_t)count);
        for (int64_t place = 0; place < count; place++)
            if (documents[place] >= self->pages)
                return damaged("a document");
    }
    if (counts && read_counts(table, posting, count, counts) < 0)
        return -1;
    return count;
}

/* Where a number stands among rising ones from low to high (half-open); -1 if it does not. */
int64_t place_of(const uint32_t *rising, size_t low, size_t high, uint32_t wanted)
{
    size_t end = high;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (rising[middle] < wanted)
            low = middle + 1;
        else
            high = middle;
    }
    return low < end && rising[low] == wanted ? (int64_t)low : -1;
}

/* The number, from 1, of an entry among the common runs; 0 if it is not common. */
int64_t number_of(const Level *level, uint32_t entry)
{
    return place_of(level->common, 0, level->commons, entry) + 1;
}

/* Members of both, in place of the few. */
int64_t common_to(uint16_t *few, int64_t few_count, const uint16_t *many, int64_t many_count)
{
    int64_t kept = 0;
    for (int64_t i = 0, j = 0; i < few_count && j < many_count; ) {
        if (few[i] < many[j])
            i++;
        else if (few[i] > many[j])
            j++;
        else {
            few[kept++] = few[i++];
            j++;
        }
    }
    return kept;
}
