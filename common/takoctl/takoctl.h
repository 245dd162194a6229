/* SPDX-License-Identifier: MIT */
/*
 * What the commands of takoctl have in common. A command is one constant struct with its help and
 * its function; takoctl.c has the table. Adding one: write it, declare it here, add it there.
 */
#pragma once

#include <stdio.h>

#include "common/takoctl/arguments.h"
#include "common/takoctl/settings.h"
#include "common/tk_base.h"

enum ctl_exit {
    CTL_OK = 0,
    CTL_FAILED = 1, /* tried, and it did not work: a service is away, no such user */
    CTL_USAGE = 2,  /* the command line or a setting is wrong; nothing was done */
};

struct ctl {
    const struct ctl_command *command;
    const struct ctl_settings *settings; /* those that the command's needs ask for */
};

struct ctl_command {
    const char *name; /* one or two words: "user create" */
    struct ctl_syntax syntax;
    unsigned needs;      /* CTL_NEEDS_* of settings.h */
    const char *usage;   /* what follows the name: "TOPIC EVENT JSON" */
    const char *summary; /* for the list of commands */
    const char *help;    /* paragraphs and examples, ending in a line end */
    int (*run)(const struct ctl *ctl, const struct ctl_arguments *arguments); /* enum ctl_exit */
};

extern const struct ctl_command ctl_broadcast, ctl_message, ctl_ping, ctl_disconnect;
extern const struct ctl_command ctl_user_create, ctl_user_show, ctl_user_set;
extern const struct ctl_command ctl_nodes, ctl_presence, ctl_migrate;

/* "takoctl NAME: what happened" on stderr; returns CTL_FAILED. */
int ctl_fail(const struct ctl *ctl, const char *fmt, ...) TK_PRINTF(2, 3);

/* The same for what is wrong on the command line, with a pointer to --help; returns CTL_USAGE. */
int ctl_refuse(const struct ctl *ctl, const struct ctl_problem *problem);

/* The same for what the operator should know although the command went well. */
void ctl_warn(const struct ctl *ctl, const char *fmt, ...) TK_PRINTF(2, 3);

/*
 * A line on stderr that tells how to reach a stack started here, when there is one and variable is
 * not set. It is never read without being asked: a command must not guess which system it is for.
 */
void ctl_hint_at_stack(const char *variable);

/*
 * Text that is not ours, for a terminal: in quotes, with control and bidirectional characters, '"'
 * and '\' escaped as in JSON, and bytes that are not UTF-8 as \xNN.
 */
void ctl_print_text(FILE *to, struct tk_slice text);
