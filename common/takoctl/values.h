/* SPDX-License-Identifier: MIT */
/*
 * The rules for what an operator types. what names the value in the problem ("topic"); each
 * returns TK_EINVAL with problem when a rule is broken. Values are quoted escaped, or not at all.
 */
#pragma once

#include "common/takoctl/arguments.h"
#include "common/tk_uuid.h"

/* A topic or an event: UTF-8, 1 to TK_TOPIC_MAX bytes, no control characters (C40, C185). */
enum tk_err ctl_check_name(const char *what, const char *text,
                           struct ctl_problem *problem) TK_MUST_CHECK;

/* A JSON object that every broker can put into a frame (C27, C28). */
enum tk_err ctl_check_payload(const char *json, struct ctl_problem *problem) TK_MUST_CHECK;

/* Any text that is UTF-8. */
enum tk_err ctl_check_text(const char *what, const char *text,
                           struct ctl_problem *problem) TK_MUST_CHECK;

/* A user's id, which is not quoted in the problem: it may be nearly right, and is a credential. */
enum tk_err ctl_parse_user_id(const char *text, struct tk_uuid *id,
                              struct ctl_problem *problem) TK_MUST_CHECK;

/* Digits only, 0 to max. */
enum tk_err ctl_parse_number(const char *what, const char *text, int64_t max, int64_t *number,
                             struct ctl_problem *problem) TK_MUST_CHECK;
