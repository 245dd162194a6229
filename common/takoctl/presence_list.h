/* SPDX-License-Identifier: MIT */
/* Who is present on a topic, as the brokers have written it into Redis (common/envelope.h). */
#pragma once

#include "common/takoctl/takoctl.h"

/* Anybody with Redis can write these; key and meta were checked to be a plain string and JSON. */
struct presence_item {
    struct tk_slice node, key, meta; /* point into text */
    int64_t since_ms;                /* since 1970 */
    bool is_kept;                    /* sent away by a stopping broker, expected back */
    char *text;
};

struct presence_list {
    struct presence_item *items; /* by key, the oldest of each first */
    size_t count, cap;
};

/*
 * Those whose broker lives, and of those who are expected back only such who are not back yet: what
 * clients see. Bounded in time and number. False: the operator has been told why. The list is the
 * caller's to free in any case.
 */
bool presence_list_read(const struct ctl *ctl, const char *topic,
                        struct presence_list *list) TK_MUST_CHECK;
void presence_list_free(struct presence_list *list);
