/* SPDX-License-Identifier: MIT */
/*
 * A validating JSON scanner that yields byte ranges and builds no tree: strict RFC 8259 grammar,
 * strict UTF-8, no lone surrogate escapes, bounded depth, no recursion. It is the gate in front of
 * json-c (H30-H32) and the frame decoder of the broker (C28-C33). All results borrow the input.
 */
#pragma once

#include "common/tk_base.h"
#include "common/tk_buf.h"

enum tk_json_type {
    TK_JSON_NONE, /* member absent */
    TK_JSON_NULL,
    TK_JSON_FALSE,
    TK_JSON_TRUE,
    TK_JSON_NUMBER,
    TK_JSON_STRING,
    TK_JSON_ARRAY,
    TK_JSON_OBJECT,
};

#define TK_JSON_MAX_DEPTH 512

struct tk_json_value {
    enum tk_json_type type;
    bool has_escapes; /* TK_JSON_STRING: contains at least one backslash */
    struct tk_slice
        raw; /* the value's bytes without surrounding blanks; strings with their quotes */
};

struct tk_json_rules {
    unsigned max_depth;          /* nesting of arrays and objects, 1..TK_JSON_MAX_DEPTH */
    bool refuse_duplicate_names; /* H32; compared after decoding escapes */
    bool refuse_huge_numbers;    /* C28: numbers whose double is infinite, such as 1e999 */
};

/*
 * The whole text must be one JSON value with optional blanks around it. TK_ESYNTAX: not JSON, a
 * repeated name or a huge number; TK_ELIMIT: too deep. On both *error_offset (may be NULL) is the
 * first offending byte, text.len when the text ends too early.
 */
enum tk_err tk_json_scan(struct tk_slice text, const struct tk_json_rules *rules,
                         struct tk_json_value *value, size_t *error_offset) TK_MUST_CHECK;

/*
 * Validates the whole text in one pass and slices the elements of the array it must be (else
 * TK_EINVAL). The first cap elements go to items; *count is the number of elements in the text,
 * which may be larger. After an error items holds nothing of use.
 */
enum tk_err tk_json_scan_array(struct tk_slice text, const struct tk_json_rules *rules,
                               struct tk_json_value *items, size_t cap,
                               size_t *count) TK_MUST_CHECK;

/*
 * Validates the whole text in one pass and picks members of the object it must be (else TK_EINVAL).
 * fields[].name is given; fields[].value is set, type TK_JSON_NONE where the member is absent. The
 * last of several members with one name wins (C28). Names with escapes are compared decoded.
 */
struct tk_json_field {
    const char *name;
    struct tk_json_value value;
};
enum tk_err tk_json_scan_object(struct tk_slice text, const struct tk_json_rules *rules,
                                struct tk_json_field *fields, size_t count) TK_MUST_CHECK;

/* The decoded text of a scanned string, appended to out. May contain NUL when \u0000 was sent. */
void tk_json_string_decode(const struct tk_json_value *string, struct tk_buf *out);

/*
 * The decoded text as a slice: the input itself when it has no escapes, else decoded into scratch
 * (appended). Several results can share one scratch when tk_buf_reserve made room for text.len
 * bytes first: all strings of a text decoded are together shorter than the text, so the buffer then
 * never moves.
 */
struct tk_slice tk_json_string_text(const struct tk_json_value *string, struct tk_buf *scratch);

/* Appends text (valid UTF-8) as a JSON string with quotes; only ", \ and U+0000-001F are escaped
 * (H55, C28). */
void tk_json_write_string(struct tk_buf *out, struct tk_slice text);

/* Strict UTF-8 per RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF. */
bool tk_utf8_valid(struct tk_slice text);
