/* SPDX-License-Identifier: MIT */
/*
 * The words of a command line behind the command's name. Options may stand anywhere, as --name
 * value or --name=value; "--" ends them, for words that begin with a dash. Nothing is looked up or
 * printed here.
 */
#pragma once

#include "common/tk_base.h"

#define CTL_MAX_WORDS   3
#define CTL_MAX_OPTIONS 2

struct ctl_option {
    const char *name; /* without the dashes; NULL in unused places */
    bool is_flag;     /* takes no value */
};

struct ctl_syntax {
    int words; /* exactly so many */
    struct ctl_option options[CTL_MAX_OPTIONS];
};

struct ctl_arguments {
    const char *words[CTL_MAX_WORDS];
    /* By the option's place in the syntax: its value, "" for a flag, NULL when it is not given. */
    const char *options[CTL_MAX_OPTIONS];
    bool wants_help; /* --help or -h: nothing else counts then */
};

/* What is wrong, as a clause without a final dot. */
struct ctl_problem {
    char text[512];
};
enum tk_err ctl_problem_set(struct ctl_problem *problem, const char *fmt, ...)
    TK_PRINTF(2, 3); /* returns TK_EINVAL */

/* Borrows argv. TK_EINVAL with problem. */
enum tk_err ctl_arguments_parse(const struct ctl_syntax *syntax, int argc, const char *const *argv,
                                struct ctl_arguments *arguments,
                                struct ctl_problem *problem) TK_MUST_CHECK;
