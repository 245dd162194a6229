/* SPDX-License-Identifier: MIT */
/*
 * The rules are applied cheapest first, and nothing that needs more than one look at the text runs
 * before the byte cap has bounded it. What passes is stored as it came, only trimmed: no
 * normalisation (H58), no case change.
 */
#include "common/accounts/nickname.h"

#include <stdio.h>
#include <unictype.h>
#include <unigbrk.h>
#include <unistr.h>

/* H47: enough for every living script, too few to paint over a page. */
#define MAX_MARKS_IN_A_ROW 4

static const uint8_t *bytes_of(struct tk_slice text)
{
    return (const uint8_t *)text.ptr;
}

/* The first code point of text, which is not empty; returns its length in bytes. */
static size_t first_code_point(struct tk_slice text, ucs4_t *code_point)
{
    int len = u8_mbtouc(code_point, bytes_of(text), text.len);

    tk_assert(len > 0);
    return (size_t)len;
}

static struct tk_slice without_first(struct tk_slice text, size_t len)
{
    return tk_slice(text.ptr + len, text.len - len);
}

static struct tk_slice trim(struct tk_slice text)
{
    ucs4_t c;

    while (text.len > 0) {
        size_t len = first_code_point(text, &c);
        if (!uc_is_property_white_space(c))
            break;
        text = without_first(text, len);
    }
    while (text.len > 0) {
        const uint8_t *last = u8_prev(&c, bytes_of(text) + text.len, bytes_of(text));
        if (last == NULL || !uc_is_property_white_space(c))
            break;
        text.len = (size_t)(last - bytes_of(text));
    }
    return text;
}

static bool is_forbidden(ucs4_t c)
{
    return c <= 0x1f || (c >= 0x7f && c <= 0x9f) || (c >= 0x202a && c <= 0x202e) ||
           (c >= 0x2066 && c <= 0x2069) || c == 0xfffd;
}

static bool is_mark(ucs4_t c)
{
    return uc_is_general_category_withtable(c, UC_CATEGORY_MASK_Mn | UC_CATEGORY_MASK_Me);
}

static bool is_invisible(ucs4_t c)
{
    return uc_is_property_default_ignorable_code_point(c) || uc_is_property_white_space(c);
}

/* The rules about single code points (H47, H50); NULL when text breaks none. */
static const char *find_bad_character(struct tk_slice text)
{
    unsigned marks = 0;
    bool visible = false;

    while (text.len > 0) {
        ucs4_t c;
        size_t len = first_code_point(text, &c);

        if (is_forbidden(c))
            return "contains a character that is not allowed";
        marks = is_mark(c) ? marks + 1 : 0;
        if (marks > MAX_MARKS_IN_A_ROW)
            return "has too many combining marks in a row";
        visible = visible || !is_invisible(c);
        text = without_first(text, len);
    }
    return visible ? NULL : "must contain a visible character";
}

/*
 * Extended grapheme clusters: what a person would count as characters (H46). The function for whole
 * texts, since stepping from one to the next cannot see that two flags are not one.
 */
static unsigned count_graphemes(struct tk_slice text)
{
    char starts[NICKNAME_MAX_BYTES];
    unsigned count = 0;

    tk_assert(text.len <= sizeof(starts));
    u8_grapheme_breaks(bytes_of(text), text.len, starts);
    for (size_t i = 0; i < text.len; i++)
        count += starts[i] == 1;
    return count;
}

static enum tk_err refuse(struct nickname_problem *problem, const char *what)
{
    snprintf(problem->text, sizeof(problem->text), "nickname: %s.", what);
    return TK_EINVAL;
}

static enum tk_err refuse_length(struct nickname_problem *problem,
                                 const struct nickname_rules *rules)
{
    if (rules->min_length > 0) {
        snprintf(problem->text, sizeof(problem->text),
                 "nickname: length must be between %u and %u characters.", rules->min_length,
                 rules->max_length);
    } else {
        snprintf(problem->text, sizeof(problem->text),
                 "nickname: length must be at most %u characters.", rules->max_length);
    }
    return TK_EINVAL;
}

enum tk_err nickname_check(struct tk_slice raw, const struct nickname_rules *rules,
                           struct tk_buf *trimmed, struct nickname_problem *problem)
{
    struct tk_slice text = trim(raw);

    if (text.len > 0) {
        if (text.len > NICKNAME_MAX_BYTES)
            return refuse(problem, "must not be longer than 255 bytes");
        const char *bad = find_bad_character(text);
        if (bad != NULL)
            return refuse(problem, bad);
        unsigned length = count_graphemes(text);
        if (length < rules->min_length || length > rules->max_length)
            return refuse_length(problem, rules);
        if (rules->profanity != NULL && profanity_found(rules->profanity, text))
            return refuse(problem, "contains a word that is not allowed");
    }
    tk_buf_clear(trimmed);
    tk_buf_append_slice(trimmed, text);
    return TK_OK;
}
