/* SPDX-License-Identifier: MIT */
/*
 * "At most so many a second, and so many at once": a token bucket that is one number, so that every
 * client can have some.
 */
#pragma once

#include "common/tk_base.h"

/* Zeroed: full. */
struct rate_limit {
    uint64_t full_ns; /* when the bucket will be full again */
};

/*
 * Takes one, or returns false when there is none left. per_s: how fast it fills, 0 for no limit;
 * burst: how many it holds, at least 1. Time does not go backwards.
 */
bool rate_limit_take(struct rate_limit *r, uint64_t now_ms, int64_t per_s, int64_t burst);

/* Would rate_limit_take succeed? For what turns out only by trying whether there is one to take. */
bool rate_limit_allows(const struct rate_limit *r, uint64_t now_ms, int64_t per_s, int64_t burst);
