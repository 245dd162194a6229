/* SPDX-License-Identifier: MIT */
/* What the files of the JSON scanner share; nobody else includes this. */
#pragma once

#include "common/tk_json.h"

/* The next byte from p on that is a control, a quote, a backslash or not ASCII; or end. */
const char *tk_json_skip_plain(const char *p, const char *end);

/* The end of the valid non-ASCII UTF-8 that begins at p: end, an ASCII byte or an invalid one. */
const char *tk_utf8_skip(const char *p, const char *end);

/* Four hexadecimal digits at p, or -1. There must be four bytes. */
int tk_json_hex4(const char *p);

/* True when the double nearest to this well-formed number is infinite. */
bool tk_json_is_huge(struct tk_slice number);

/*
 * The member names of the objects that are open at one moment. Names are compared when their object
 * closes: sorted, then neighbours. So n names of together b bytes cost O(n log n) comparisons and
 * O(b log n) bytes read, whatever a peer chooses; there is no hash to attack.
 */
struct tk_json_names {
    struct tk_buf entries; /* of struct name_entry, the innermost object's last */
    struct tk_buf decoded; /* names with escapes; reserved once, never moves */
    size_t object;         /* index of the innermost object's first entry, its marker */
    size_t text_len;
};

void tk_json_names_init(struct tk_json_names *names, size_t text_len);
void tk_json_names_fini(struct tk_json_names *names);
void tk_json_names_open(struct tk_json_names *names);
void tk_json_names_add(struct tk_json_names *names, const struct tk_json_value *name);

/* The object ends. Where its first repeated name stands in the text, or NULL. */
const char *tk_json_names_close(struct tk_json_names *names);
