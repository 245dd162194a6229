/* SPDX-License-Identifier: MIT */
/*
 * Bucket k < 64 holds the value k alone; above, the highest set bit selects a group and the six
 * bits below it a bucket within. Buckets are in the order of their values.
 */
#include "tests/bench/histogram.h"

#define SUB_COUNT (1U << HISTOGRAM_SUB_BITS)

static uint32_t bucket_of(uint64_t value)
{
    if (value < SUB_COUNT)
        return (uint32_t)value;
    uint32_t shift = 63 - (uint32_t)__builtin_clzll(value) - HISTOGRAM_SUB_BITS;
    return ((shift + 1) << HISTOGRAM_SUB_BITS) + (uint32_t)(value >> shift) - SUB_COUNT;
}

/* The largest value that falls into the bucket. */
static uint64_t limit_of(uint32_t bucket)
{
    if (bucket < SUB_COUNT)
        return bucket;
    uint32_t shift = (bucket >> HISTOGRAM_SUB_BITS) - 1;
    uint64_t first = (uint64_t)(SUB_COUNT + bucket % SUB_COUNT) << shift;
    return first + (((uint64_t)1 << shift) - 1);
}

void histogram_add(struct histogram *h, uint64_t value)
{
    h->counts[bucket_of(value)]++;
    h->total++;
    if (value > h->max)
        h->max = value;
}

uint64_t histogram_quantile(const struct histogram *h, double share)
{
    double wanted = share * (double)h->total;
    uint64_t seen = 0;
    for (uint32_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        seen += h->counts[i];
        if (h->counts[i] > 0 && (double)seen >= wanted)
            return limit_of(i) < h->max ? limit_of(i) : h->max;
    }
    return h->max;
}
