/* SPDX-License-Identifier: MIT */
/*
 * Entries and nicknames are brought into one folded form: case folding and NFKC, without what
 * nobody can see (default-ignorable characters), '_' as a blank. The folded entries are kept
 * sorted, and every stretch of a folded nickname that lies between two word boundaries is looked up
 * in them. A nickname has few such stretches, and none longer than the longest entry counts.
 */
#include "common/accounts/profanity.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unicase.h>
#include <unictype.h>
#include <uninorm.h>
#include <unistr.h>

#include "common/tk_buf.h"
#include "common/tk_install.h"
#include "common/tk_json.h"

#define LINE_BYTES  256
#define MAX_ENTRIES 20000 /* a list is for people to read; this is far beyond any */

struct profanity {
    struct tk_slice *entries; /* folded, sorted by compare_slices; their bytes are ours */
    size_t count;
    size_t longest; /* bytes */
};

/* Any fixed order will do; this one looks at the bytes only between slices of one length. */
static int compare_slices(const void *left, const void *right)
{
    const struct tk_slice *a = left, *b = right;

    if (a->len != b->len)
        return a->len < b->len ? -1 : 1;
    return memcmp(a->ptr, b->ptr, a->len);
}

static bool is_word(ucs4_t c)
{
    return uc_is_general_category_withtable(c, UC_CATEGORY_MASK_L | UC_CATEGORY_MASK_N);
}

static void drop_invisible(struct tk_buf *text)
{
    size_t kept = 0;

    for (size_t at = 0, len; at < text->len; at += len) {
        ucs4_t c;
        len = (size_t)u8_mbtouc(&c, (uint8_t *)text->data + at, text->len - at);
        if (uc_is_property_default_ignorable_code_point(c))
            continue;
        memmove(text->data + kept, text->data + at, len);
        if (c == '_')
            text->data[kept] = ' ';
        kept += len;
    }
    text->len = kept;
}

/* Most nicknames are ASCII, where lower case is all that folding means. False: this one is not. */
static bool fold_ascii(struct tk_slice text, struct tk_buf *folded)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if ((unsigned char)c >= 0x80)
            return false;
        if (c >= 'A' && c <= 'Z')
            c = (char)(c | 0x20);
        tk_buf_append_char(folded, c);
    }
    return true;
}

/*
 * Folding runs twice because the first one can bring up letters with case again: a mathematical
 * bold S has no lower case, the S that NFKC makes of it has.
 */
static void fold_unicode(struct tk_slice text, struct tk_buf *folded)
{
    tk_buf_append_slice(folded, text);
    for (int pass = 0; pass < 2; pass++) {
        size_t len = 0;
        uint8_t *result =
            u8_casefold((const uint8_t *)folded->data, folded->len, NULL, UNINORM_NFKC, NULL, &len);
        tk_assert(result != NULL || len == 0); /* fails for want of memory only */
        tk_buf_clear(folded);
        tk_buf_append(folded, result, len);
        free(result);
    }
}

/* The folded form of text, which is valid UTF-8; folded is empty before. */
static void fold(struct tk_slice text, struct tk_buf *folded)
{
    if (!fold_ascii(text, folded)) {
        tk_buf_clear(folded);
        fold_unicode(text, folded);
    }
    drop_invisible(folded);
}

static void add_entry(struct profanity *list, struct tk_slice entry)
{
    struct tk_buf folded = {0};

    fold(entry, &folded);
    if (folded.len > 0) {
        list->entries = tk_xrealloc(list->entries, (list->count + 1) * sizeof(*list->entries));
        list->entries[list->count++] = tk_slice(tk_xstrndup(folded.data, folded.len), folded.len);
        if (folded.len > list->longest)
            list->longest = folded.len;
    }
    tk_buf_fini(&folded);
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* What a line says: its text up to '#', without the blanks around it. */
static struct tk_slice entry_of_line(const char *line)
{
    struct tk_slice entry = tk_slice(line, strcspn(line, "#"));

    while (entry.len > 0 && is_blank(entry.ptr[entry.len - 1]))
        entry.len--;
    while (entry.len > 0 && is_blank(entry.ptr[0])) {
        entry.ptr++;
        entry.len--;
    }
    return entry;
}

static enum tk_err load_lines(FILE *file, struct profanity *list, unsigned *line)
{
    char text[LINE_BYTES];

    for (*line = 1; fgets(text, sizeof(text), file) != NULL; (*line)++) {
        bool complete = strchr(text, '\n') != NULL || feof(file);
        struct tk_slice entry = entry_of_line(text);

        if (!complete || !tk_utf8_valid(entry) || list->count == MAX_ENTRIES)
            return TK_EINVAL;
        if (entry.len > 0)
            add_entry(list, entry);
    }
    return ferror(file) ? TK_EIO : TK_OK;
}

enum tk_err profanity_load(const char *path, struct profanity **list, unsigned *line)
{
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return TK_EIO;

    struct profanity *loaded = tk_xcalloc(1, sizeof(*loaded));
    enum tk_err err = load_lines(file, loaded, line);
    int saved_errno = errno;

    fclose(file);
    if (err) {
        profanity_free(loaded);
        errno = saved_errno;
        return err;
    }
    if (loaded->count > 0)
        qsort(loaded->entries, loaded->count, sizeof(*loaded->entries), compare_slices);
    *list = loaded;
    return TK_OK;
}

enum tk_err profanity_open(const char *setting, struct profanity **list, char *why, size_t size)
{
    unsigned line = 0;

    *list = NULL;
    if (setting != NULL && strcmp(setting, "none") == 0)
        return TK_OK;
    char *path = setting != NULL
                     ? tk_xstrdup(setting)
                     : tk_installed_file("profanity.txt", "common/accounts/profanity.txt");
    enum tk_err err = profanity_load(path, list, &line);
    if (err == TK_EIO)
        snprintf(why, size, "%s: %s", path, strerror(errno));
    else if (err)
        snprintf(why, size, "%s: line %u is not UTF-8, or too long", path, line);
    free(path);
    return err;
}

void profanity_free(struct profanity *list)
{
    if (list == NULL)
        return;
    for (size_t i = 0; i < list->count; i++)
        free((char *)list->entries[i].ptr);
    free(list->entries);
    free(list);
}

static bool is_entry(const struct profanity *list, struct tk_slice text)
{
    return bsearch(&text, list->entries, list->count, sizeof(text), compare_slices) != NULL;
}

/* Is one of the stretches that begin where text begins and end at a word boundary an entry? */
static bool entry_at_start(const struct profanity *list, struct tk_slice text)
{
    for (size_t end = 0; end < text.len && end < list->longest;) {
        ucs4_t next = ' '; /* what follows the last character is as good as a blank */

        end += (size_t)u8_mblen((const uint8_t *)text.ptr + end, text.len - end);
        if (end < text.len)
            u8_mbtouc(&next, (const uint8_t *)text.ptr + end, text.len - end);
        if (!is_word(next) && is_entry(list, tk_slice(text.ptr, end)))
            return true;
    }
    return false;
}

static bool found_in_folded(const struct profanity *list, struct tk_slice text)
{
    bool after_word = false;

    while (text.len > 0) {
        ucs4_t c;
        size_t len = (size_t)u8_mbtouc(&c, (const uint8_t *)text.ptr, text.len);

        if (!after_word && entry_at_start(list, text))
            return true;
        after_word = is_word(c);
        text = tk_slice(text.ptr + len, text.len - len);
    }
    return false;
}

bool profanity_found(const struct profanity *list, struct tk_slice text)
{
    struct tk_buf folded = {0};

    if (list->count == 0 || text.len == 0)
        return false;
    fold(text, &folded);
    bool found = found_in_folded(list, tk_buf_slice(&folded));
    tk_buf_fini(&folded);
    return found;
}
