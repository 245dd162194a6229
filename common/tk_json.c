/* SPDX-License-Identifier: MIT */
/*
 * The JSON scanner: one pass, no tree, no recursion. What container the scanner is in is one bit
 * per level, so the deepest text costs 64 bytes of stack.
 * Invariant: p never passes end, and on an error p is the first offending byte.
 * Not here: UTF-8 and decoding (tk_json_text.c), names and number ranges (tk_json_rules.c).
 */
#include "common/tk_hex.h"
#include "common/tk_json_internal.h"

struct scanner {
    const char *p, *end;
    const struct tk_json_rules *rules;
    struct tk_json_names *names; /* NULL: repeated names are allowed */
    struct tk_json_value name;   /* of the member whose value comes next */
    unsigned depth;
    uint64_t is_object[TK_JSON_MAX_DEPTH / 64]; /* a bit per open container */
};

static void scanner_init(struct scanner *s, struct tk_slice text, const struct tk_json_rules *rules,
                         struct tk_json_names *names)
{
    tk_assert(rules->max_depth >= 1 && rules->max_depth <= TK_JSON_MAX_DEPTH);
    s->p = text.len > 0 ? text.ptr : "";
    s->end = s->p + text.len;
    s->rules = rules;
    s->depth = 0;
    memset(s->is_object, 0, sizeof(s->is_object));
    s->names = NULL;
    if (rules->refuse_duplicate_names) {
        tk_json_names_init(names, text.len);
        s->names = names;
    }
}

static void scanner_fini(struct scanner *s)
{
    if (s->names != NULL)
        tk_json_names_fini(s->names);
}

static bool at(const struct scanner *s, char c)
{
    return s->p < s->end && *s->p == c;
}

static void skip_blanks(struct scanner *s)
{
    while (s->p < s->end && (*s->p == ' ' || *s->p == '\n' || *s->p == '\r' || *s->p == '\t'))
        s->p++;
}

/*
 * Strings
 */

/* One \uXXXX at the backslash. The offending byte is the first one that is no digit. */
static enum tk_err scan_hex4(struct scanner *s, unsigned *unit)
{
    const char *digits = s->p + 2;

    if (s->end - s->p >= 6 && tk_json_hex4(digits) >= 0) {
        *unit = (unsigned)tk_json_hex4(digits);
        s->p += 6;
        return TK_OK;
    }
    s->p = digits;
    while (s->p < s->end && tk_hex_value(*s->p) >= 0)
        s->p++;
    return TK_ESYNTAX;
}

static enum tk_err scan_unicode_escape(struct scanner *s)
{
    const char *first = s->p;
    unsigned unit, low;

    enum tk_err err = scan_hex4(s, &unit);
    if (err || unit < 0xd800 || unit > 0xdfff)
        return err;
    if (unit <= 0xdbff && s->end - s->p >= 2 && s->p[0] == '\\' && s->p[1] == 'u') {
        err = scan_hex4(s, &low);
        if (err || (low >= 0xdc00 && low <= 0xdfff))
            return err;
    }
    s->p = first; /* a lone surrogate (H30) */
    return TK_ESYNTAX;
}

static enum tk_err scan_escape(struct scanner *s)
{
    if (s->end - s->p < 2) {
        s->p = s->end;
        return TK_ESYNTAX;
    }
    switch (s->p[1]) {
    case '"':
    case '\\':
    case '/':
    case 'b':
    case 'f':
    case 'n':
    case 'r':
    case 't':
        s->p += 2;
        return TK_OK;
    case 'u':
        return scan_unicode_escape(s);
    default:
        s->p++;
        return TK_ESYNTAX;
    }
}

/* From the opening quote to behind the closing one. */
static enum tk_err scan_string(struct scanner *s, bool *has_escapes)
{
    enum tk_err err;

    *has_escapes = false;
    s->p++;
    for (;;) {
        s->p = tk_json_skip_plain(s->p, s->end);
        if (s->p == s->end)
            return TK_ESYNTAX;
        if (*s->p == '"') {
            s->p++;
            return TK_OK;
        }
        if (*s->p == '\\') {
            *has_escapes = true;
            err = scan_escape(s);
            if (err)
                return err;
            continue;
        }
        const char *next = tk_utf8_skip(s->p, s->end);
        if (next == s->p)
            return TK_ESYNTAX; /* a control character or invalid UTF-8 */
        s->p = next;
    }
}

/*
 * Numbers and words
 */

/* At least one digit. */
static enum tk_err scan_digits(struct scanner *s)
{
    const char *first = s->p;

    while (s->p < s->end && *s->p >= '0' && *s->p <= '9')
        s->p++;
    return s->p > first ? TK_OK : TK_ESYNTAX;
}

#define MAX_SURELY_FINITE_DIGITS 308

static enum tk_err scan_number(struct scanner *s)
{
    const char *first = s->p;
    bool has_exponent = false;
    enum tk_err err = TK_OK;

    if (at(s, '-'))
        s->p++;
    if (at(s, '0'))
        s->p++;
    else
        err = scan_digits(s);
    size_t whole_len = (size_t)(s->p - first);
    if (!err && at(s, '.')) {
        s->p++;
        err = scan_digits(s);
    }
    if (!err && (at(s, 'e') || at(s, 'E'))) {
        has_exponent = true;
        s->p++;
        if (at(s, '+') || at(s, '-'))
            s->p++;
        err = scan_digits(s);
    }
    if (err || !s->rules->refuse_huge_numbers)
        return err;
    if ((has_exponent || whole_len > MAX_SURELY_FINITE_DIGITS) &&
        tk_json_is_huge(tk_slice(first, (size_t)(s->p - first)))) {
        s->p = first;
        return TK_ESYNTAX;
    }
    return TK_OK;
}

static enum tk_err scan_word(struct scanner *s, const char *word)
{
    for (; *word != '\0'; word++, s->p++) {
        if (!at(s, *word))
            return TK_ESYNTAX;
    }
    return TK_OK;
}

static enum tk_err scan_scalar(struct scanner *s, struct tk_json_value *value)
{
    value->has_escapes = false;
    if (s->p == s->end)
        return TK_ESYNTAX;
    switch (*s->p) {
    case '"':
        value->type = TK_JSON_STRING;
        return scan_string(s, &value->has_escapes);
    case 't':
        value->type = TK_JSON_TRUE;
        return scan_word(s, "true");
    case 'f':
        value->type = TK_JSON_FALSE;
        return scan_word(s, "false");
    case 'n':
        value->type = TK_JSON_NULL;
        return scan_word(s, "null");
    default:
        value->type = TK_JSON_NUMBER;
        return scan_number(s);
    }
}

/*
 * Containers
 */

static bool in_object(const struct scanner *s)
{
    unsigned level = s->depth - 1;
    return s->is_object[level / 64] >> level % 64 & 1;
}

/* A member's name, the colon, and the blanks up to its value. */
static enum tk_err scan_name(struct scanner *s)
{
    const char *first = s->p;

    if (!at(s, '"'))
        return TK_ESYNTAX;
    enum tk_err err = scan_string(s, &s->name.has_escapes);
    if (err)
        return err;
    s->name.type = TK_JSON_STRING;
    s->name.raw = tk_slice(first, (size_t)(s->p - first));
    if (s->names != NULL)
        tk_json_names_add(s->names, &s->name);

    skip_blanks(s);
    if (!at(s, ':'))
        return TK_ESYNTAX;
    s->p++;
    skip_blanks(s);
    return TK_OK;
}

static enum tk_err leave(struct scanner *s)
{
    if (in_object(s) && s->names != NULL) {
        const char *repeated = tk_json_names_close(s->names);
        if (repeated != NULL) {
            s->p = repeated;
            return TK_ESYNTAX;
        }
    }
    s->p++;
    s->depth--;
    return TK_OK;
}

static bool at_closer(const struct scanner *s)
{
    return at(s, in_object(s) ? '}' : ']');
}

/* Into the array or object at p, up to its first value; *ended when it is empty and left again. */
static enum tk_err enter(struct scanner *s, bool *ended)
{
    bool object = *s->p == '{';

    if (s->depth == s->rules->max_depth)
        return TK_ELIMIT;
    uint64_t bit = (uint64_t)1 << s->depth % 64;
    uint64_t *word = &s->is_object[s->depth / 64];
    *word = object ? *word | bit : *word & ~bit;
    s->depth++;
    if (object && s->names != NULL)
        tk_json_names_open(s->names);

    s->p++;
    skip_blanks(s);
    *ended = at_closer(s);
    if (*ended)
        return leave(s);
    return object ? scan_name(s) : TK_OK;
}

/* From behind a value to the next one in its container; *ended when the container is left. */
static enum tk_err next_item(struct scanner *s, bool *ended)
{
    skip_blanks(s);
    *ended = at_closer(s);
    if (*ended)
        return leave(s);
    if (!at(s, ','))
        return TK_ESYNTAX;
    s->p++;
    skip_blanks(s);
    return in_object(s) ? scan_name(s) : TK_OK;
}

static bool at_container(const struct scanner *s)
{
    return at(s, '[') || at(s, '{');
}

/* The array or object at p with all it holds. */
static enum tk_err scan_container(struct scanner *s)
{
    const unsigned outer = s->depth;
    enum tk_err err;

    do {
        struct tk_json_value ignored;
        bool ended = true; /* a value has ended, so what follows belongs to its container */

        err = at_container(s) ? enter(s, &ended) : scan_scalar(s, &ignored);
        while (!err && ended && s->depth > outer)
            err = next_item(s, &ended);
    } while (!err && s->depth > outer);
    return err;
}

static enum tk_err scan_value(struct scanner *s, struct tk_json_value *value)
{
    const char *first = s->p;
    enum tk_err err;

    if (at_container(s)) {
        value->type = *first == '{' ? TK_JSON_OBJECT : TK_JSON_ARRAY;
        value->has_escapes = false;
        err = scan_container(s);
    } else {
        err = scan_scalar(s, value);
    }
    value->raw = tk_slice(first, (size_t)(s->p - first));
    return err;
}

/*
 * Whole texts
 */

static enum tk_err expect_end(struct scanner *s)
{
    skip_blanks(s);
    return s->p == s->end ? TK_OK : TK_ESYNTAX;
}

enum tk_err tk_json_scan(struct tk_slice text, const struct tk_json_rules *rules,
                         struct tk_json_value *value, size_t *error_offset)
{
    struct tk_json_names names;
    struct tk_json_value found;
    struct scanner s;

    scanner_init(&s, text, rules, &names);
    const char *start = s.p;
    skip_blanks(&s);
    enum tk_err err = scan_value(&s, &found);
    if (!err)
        err = expect_end(&s);
    scanner_fini(&s);

    if (!err)
        *value = found;
    else if (error_offset != NULL)
        *error_offset = (size_t)(s.p - start);
    return err;
}

/* The text is not the container it must be: TK_EINVAL, unless it is no JSON at all. */
static enum tk_err wrong_type(struct tk_slice text, const struct tk_json_rules *rules)
{
    struct tk_json_value value;
    enum tk_err err = tk_json_scan(text, rules, &value, NULL);

    return err ? err : TK_EINVAL;
}

enum tk_err tk_json_scan_array(struct tk_slice text, const struct tk_json_rules *rules,
                               struct tk_json_value *items, size_t cap, size_t *count)
{
    struct tk_json_names names;
    struct scanner s;
    size_t found = 0;
    bool ended;

    scanner_init(&s, text, rules, &names);
    skip_blanks(&s);
    if (!at(&s, '['))
        return wrong_type(text, rules);

    enum tk_err err = enter(&s, &ended);
    while (!err && !ended) {
        struct tk_json_value beyond;
        err = scan_value(&s, found < cap ? &items[found] : &beyond);
        found++;
        if (!err)
            err = next_item(&s, &ended);
    }
    if (!err)
        err = expect_end(&s);
    scanner_fini(&s);
    if (!err)
        *count = found;
    return err;
}

static struct tk_json_field *find_field(const struct tk_json_value *name, struct tk_buf *scratch,
                                        struct tk_json_field *fields, size_t count)
{
    tk_buf_clear(scratch);
    struct tk_slice text = tk_json_string_text(name, scratch);

    for (size_t i = 0; i < count; i++) {
        if (tk_slice_eq_str(text, fields[i].name))
            return &fields[i];
    }
    return NULL;
}

enum tk_err tk_json_scan_object(struct tk_slice text, const struct tk_json_rules *rules,
                                struct tk_json_field *fields, size_t count)
{
    struct tk_json_names names;
    struct tk_buf scratch = {0}; /* for names with escapes */
    struct scanner s;
    bool ended;

    for (size_t i = 0; i < count; i++)
        fields[i].value = (struct tk_json_value){.type = TK_JSON_NONE};
    scanner_init(&s, text, rules, &names);
    skip_blanks(&s);
    if (!at(&s, '{'))
        return wrong_type(text, rules);

    enum tk_err err = enter(&s, &ended);
    while (!err && !ended) {
        struct tk_json_value ignored;
        struct tk_json_field *field = find_field(&s.name, &scratch, fields, count);
        err = scan_value(&s, field != NULL ? &field->value : &ignored);
        if (!err)
            err = next_item(&s, &ended);
    }
    if (!err)
        err = expect_end(&s);
    scanner_fini(&s);
    tk_buf_fini(&scratch);
    return err;
}
