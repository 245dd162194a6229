/* SPDX-License-Identifier: MIT */
/*
 * Each one taken moves the time when the bucket is full again by the time that one takes to fill;
 * it is empty when that time is a whole bucket away.
 */
#include "broker/rate_limit.h"

#define NS_PER_S  1000000000
#define NS_PER_MS 1000000

static uint64_t time_of_one(int64_t per_s)
{
    return NS_PER_S / (uint64_t)per_s;
}

static uint64_t full_at(const struct rate_limit *r, uint64_t now_ms)
{
    uint64_t now = now_ms * NS_PER_MS;
    return r->full_ns > now ? r->full_ns : now;
}

bool rate_limit_allows(const struct rate_limit *r, uint64_t now_ms, int64_t per_s, int64_t burst)
{
    if (per_s == 0)
        return true;
    uint64_t missing = full_at(r, now_ms) - now_ms * NS_PER_MS;
    return missing + time_of_one(per_s) <= time_of_one(per_s) * (uint64_t)burst;
}

bool rate_limit_take(struct rate_limit *r, uint64_t now_ms, int64_t per_s, int64_t burst)
{
    if (!rate_limit_allows(r, now_ms, per_s, burst))
        return false;
    if (per_s > 0)
        r->full_ns = full_at(r, now_ms) + time_of_one(per_s);
    return true;
}
