/* SPDX-License-Identifier: MIT */
#pragma once

#include "common/tk_base.h"

/* A list of words that a nickname must not contain (H51). */
struct profanity;

/*
 * One entry per line, '#' starts a comment, blanks around an entry do not count. TK_EIO when the
 * file cannot be read, TK_EINVAL for a line that is not UTF-8 (*line tells which).
 */
enum tk_err profanity_load(const char *path, struct profanity **list, unsigned *line) TK_MUST_CHECK;
/*
 * The list that TAKO_PROFANITY_FILE asks for: NULL is the one that came with the program, "none" is
 * no list, and *list is NULL. Errors as above, and why says what is wrong with which file.
 */
enum tk_err profanity_open(const char *setting, struct profanity **list, char *why,
                           size_t size) TK_MUST_CHECK;
void profanity_free(struct profanity *list);

/*
 * True when text (valid UTF-8) holds an entry delimited by word boundaries, compared after case
 * folding and NFKC. Letters and digits are word characters; '_' is a boundary.
 */
bool profanity_found(const struct profanity *list, struct tk_slice text);
