/* The documents that have a word, and what it scores there. */

#include "kernel.h"

static inline int may_be(const Kernel *self, const Within *within, uint16_t document)
{
    return (!within->restricted || self->alive[document])
        && (!within->mask || within->mask[document]);
}

static inline void touch(Kernel *self, uint16_t document, uint32_t score)
{
    uint32_t *held = &self->score[document];
    if (!*held)
        self->touched[self->touched_count++] = document;
    if (score > *held)
        *held = score;
}

static void read_texts(Kernel *self, const Phrase *phrase, const Within *within,
                       const uint16_t *documents, int64_t count)
{
    for (int64_t at = 0; at < count; at++) {
        uint16_t document = documents[at];
        if (!may_be(self, within, document))
            continue;
        uint32_t often = (uint32_t)count_in_text(self, document, phrase);
        if (often)
            touch(self, document, (uint32_t)phrase->base + text_score(self, document, often));
    }
}

static int find_in_texts(Kernel *self, const Phrase *phrase, const Within *within)
{
    const List *list = phrase->list;
    uint32_t living = self->living_count;
    if (within->restricted && (uint64_t)living * VERIFY < list[0].count) {
        read_texts(self, phrase, within, self->living, living);
        return 0;
    }
    if (phrase->whole) {
        int64_t count = decode(self, list->table, list->entry, self->left, self->counts);
        for (int64_t at = 0; at < count; at++) {
            uint16_t document = self->left[at];
            if (may_be(self, within, document)) {
                uint32_t score = text_score(self, document, self->counts[at]);
                touch(self, document, (uint32_t)phrase->base + score);
            }
        }
        return count < 0 ? -1 : 0;
    }
    int64_t count = decode(self, list->table, list->entry, self->left, NULL);
    for (int at = 1; at < phrase->lists && count > 0; at++) {
        if ((uint64_t)count * VERIFY < list[at].count)
            break;
        int64_t more = decode(self, list[at].table, list[at].entry, self->right, NULL);
        if (more < 0)
            return -1;
        count = common_to(self->left, count, self->right, more);
    }
    if (count < 0)
        return -1;
    read_texts(self, phrase, within, self->left, count);
    return 0;
}

static void find_in_head(Kernel *self, const Phrase *phrase, const Within *within,
                         uint16_t document)
{
    if (!may_be(self, within, document))
        return;
    uint32_t start = self->head_at[document], end = self->head_at[document + 1];
    uint32_t half = start + self->title_words[document], more = 0;
    if (half > end)
        half = end;
    if (count_in(self->head_words + start, half - start, phrase->codes, phrase->length))
        more += TITLE_SCORE;
    if (count_in(self->head_words + half, end - half, phrase->codes, phrase->length))
        more += HEADING_SCORE;
    if (more) {
        more += text_score(self, document, (uint32_t)count_in_text(self, document, phrase));
        touch(self, document, (uint32_t)phrase->base + more);
    }
}

static int find_in_heads(Kernel *self, const Phrase *phrase, const Within *within)
{
    int64_t count = decode(self, &self->heads, phrase->head, self->left, NULL);
    for (int64_t at = 0; at < count; at++)
        find_in_head(self, phrase, within, self->left[at]);
    return count < 0 ? -1 : 0;
}

/* A single character: its best documents tell all where they are few; else texts are read. */
static int find_single(Kernel *self, const Phrase *phrase, const Within *within)
{
    uint16_t code = phrase->codes[0];
    uint32_t low = self->champion_at[code], high = self->champion_at[code + 1];
    if (high <= low)
        return 0;
    if (self->totals[code] < CHAMPIONS) {
        for (uint32_t at = low; at < high; at++) {
            uint16_t document = self->champions[at];
            if (document >= self->pages)
                return damaged("a document");
            read_texts(self, phrase, within, &document, 1);
            find_in_head(self, phrase, within, document);
        }
        return 0;
    }
    uint32_t pages = within->restricted ? self->living_count : (uint32_t)self->pages;
    for (uint32_t at = 0; at < pages; at++) {
        uint16_t document = within->restricted ? self->living[at] : (uint16_t)at;
        read_texts(self, phrase, within, &document, 1);
        find_in_head(self, phrase, within, document);
    }
    return 0;
}

int find_word(Kernel *self, const Word *word, const Within *within)
{
    for (int at = 0; at < word->phrases; at++) {
        const Phrase *phrase = &word->phrase[at];
        if (phrase->length == 1) {
            if (find_single(self, phrase, within) < 0)
                return -1;
            continue;
        }
        if (phrase->lists && find_in_texts(self, phrase, within) < 0)
            return -1;
        if (phrase->in_heads && find_in_heads(self, phrase, within) < 0)
            return -1;
    }
    return 0;
}
