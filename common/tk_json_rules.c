/* SPDX-License-Identifier: MIT */
/*
 * The two rules that need more than grammar: no repeated member name (H32) and no number beyond the
 * range of a double (C28). Both work on what the scanner has found well-formed already.
 */
#include <stdlib.h>

#include "common/tk_json_internal.h"

/*
 * An object's entries begin with a marker, which remembers the marker of the enclosing object, so
 * nesting needs no stack of its own.
 */
struct name_entry {
    struct tk_slice text; /* decoded; the marker has none */
    const char *at;       /* in the scanned text */
    size_t outer;         /* marker only: index of the enclosing object's marker */
};

void tk_json_names_init(struct tk_json_names *names, size_t text_len)
{
    *names = (struct tk_json_names){.text_len = text_len};
}

void tk_json_names_fini(struct tk_json_names *names)
{
    tk_buf_fini(&names->entries);
    tk_buf_fini(&names->decoded);
}

static size_t entry_count(const struct tk_json_names *names)
{
    return names->entries.len / sizeof(struct name_entry);
}

void tk_json_names_open(struct tk_json_names *names)
{
    struct name_entry marker = {.outer = names->object};

    names->object = entry_count(names);
    tk_buf_append(&names->entries, &marker, sizeof(marker));
}

void tk_json_names_add(struct tk_json_names *names, const struct tk_json_value *name)
{
    struct name_entry entry = {.at = name->raw.ptr};

    /* Decoded names are together shorter than the text, so this one reserve lasts. */
    if (name->has_escapes && names->decoded.data == NULL)
        tk_buf_reserve(&names->decoded, names->text_len);
    entry.text = tk_json_string_text(name, &names->decoded);
    tk_buf_append(&names->entries, &entry, sizeof(entry));
}

/* By their bytes, and equal ones by where they stand. */
static int compare_names(const void *left, const void *right)
{
    const struct name_entry *a = left, *b = right;
    int order = tk_slice_compare(a->text, b->text);

    return order != 0 ? order : (a->at > b->at) - (a->at < b->at);
}

const char *tk_json_names_close(struct tk_json_names *names)
{
    struct name_entry *marker = (struct name_entry *)(void *)names->entries.data + names->object;
    struct name_entry *first = marker + 1;
    size_t count = entry_count(names) - names->object - 1;
    const char *repeated = NULL;

    if (count > 1)
        qsort(first, count, sizeof(*first), compare_names);
    for (size_t i = 1; i < count; i++) {
        if (tk_slice_eq(first[i - 1].text, first[i].text) &&
            (repeated == NULL || first[i].at < repeated))
            repeated = first[i].at;
    }
    names->entries.len = names->object * sizeof(*first);
    names->object = marker->outer;
    return repeated;
}

/*
 * The digits of 2^1024 - 2^970: the smallest number that rounds to infinity,
 * halfway between the largest double and the next one there would be. It is 1.79...e308.
 */
static const char limit_digits[] =
    "179769313486231580793728971405303415079934132710037826936173778980444968292764750946649017"
    "977587207096330286416692887910946555547851940402630657488671505820681908902000708383676273"
    "854845817711531764475730270069855571366959622842914819860834936475292719074168444365510704"
    "342711559699508093042880177904174497792";
#define LIMIT_EXPONENT 308

/* The exponent part behind the e. Saturates far beyond any length of text. */
static int64_t parse_exponent(const char *p, const char *end)
{
    bool negative = p < end && *p == '-';
    int64_t value = 0;

    if (p < end && (*p == '-' || *p == '+'))
        p++;
    for (; p < end && value < INT64_MAX / 100; p++)
        value = value * 10 + (*p - '0');
    return negative ? -value : value;
}

bool tk_json_is_huge(struct tk_slice number)
{
    const char *p = number.ptr, *end = number.ptr + number.len;
    int64_t whole_digits = 0; /* from the first one that is not zero, up to the point */
    int64_t zeros_behind = 0; /* between the point and the first digit that is not zero */
    size_t compared = 0;
    int order = 0; /* of the digits against limit_digits */
    bool behind_point = false;

    for (p += *p == '-'; p < end && *p != 'e' && *p != 'E'; p++) {
        if (*p == '.') {
            behind_point = true;
        } else if (compared == 0 && *p == '0') {
            zeros_behind += behind_point;
        } else {
            whole_digits += !behind_point;
            if (order == 0 && compared < sizeof(limit_digits) - 1)
                order = *p - limit_digits[compared];
            compared++;
        }
    }
    if (compared == 0)
        return false; /* zero, whatever its exponent */
    if (order == 0 && compared < sizeof(limit_digits) - 1)
        order = -1;

    int64_t exponent = whole_digits > 0 ? whole_digits - 1 : -zeros_behind - 1;
    if (p < end)
        exponent += parse_exponent(p + 1, end);
    return exponent > LIMIT_EXPONENT || (exponent == LIMIT_EXPONENT && order >= 0);
}
