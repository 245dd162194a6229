/* SPDX-License-Identifier: MIT */
/* The nickname rules of H44-H51 and H58: what may be stored, and the sentence that says why not. */
#pragma once

#include "common/accounts/profanity.h"
#include "common/tk_buf.h"

#define NICKNAME_MAX_BYTES 255 /* H47 */

struct nickname_rules {
    unsigned min_length; /* grapheme clusters after trimming; 0: no minimum (D5: create has none) */
    unsigned max_length; /* D1: 24 by default */
    const struct profanity *profanity; /* NULL: no word list */
};

/*
 * Trims raw (valid UTF-8) by Unicode white space (H45) and applies the rules. On TK_OK trimmed
 * holds what to store, empty meaning null (H48). On TK_EINVAL problem->text is a complete sentence
 * for the client, which never quotes the value: "nickname: length must be between 3 and 24
 * characters."
 */
struct nickname_problem {
    char text[128];
};
enum tk_err nickname_check(struct tk_slice raw, const struct nickname_rules *rules,
                           struct tk_buf *trimmed, struct nickname_problem *problem) TK_MUST_CHECK;
