/* SPDX-License-Identifier: MIT */
/*
 * Token buckets per client address (H98), common to all workers. A bucket holds one minute's worth
 * of requests and fills evenly. The table has a fixed size; when too many addresses are busy at
 * once, those closest to a full bucket are forgotten, which is in the client's favour.
 */
#pragma once

#include "fcgi-api/client_address.h"

enum rate_class {
    RATE_POST, /* creates rows */
    RATE_OTHER,
    RATE_CLASS_COUNT,
};

struct rate_limits;

/* per_minute: 0 for no limit. The table is shared with processes forked from here on. */
struct rate_limits *rate_limits_new(const unsigned per_minute[RATE_CLASS_COUNT]);
void rate_limits_free(struct rate_limits *limits);

bool rate_limits_are_on(const struct rate_limits *limits, enum rate_class kind);

/* Takes one token. 0: there was one; else in how many seconds there will be one. */
unsigned rate_limits_take(struct rate_limits *limits, const struct client_address *address,
                          enum rate_class kind, uint64_t now_us);
