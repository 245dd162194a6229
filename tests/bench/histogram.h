/* SPDX-License-Identifier: MIT */
/*
 * Counts of durations in buckets that grow with the value: 64 per power of two, so that what is
 * read out is at most 1.6 % above what went in. Fixed size, any 64-bit value; zero-initialised is
 * empty.
 */
#pragma once

#include <stdint.h>

#define HISTOGRAM_SUB_BITS 6
#define HISTOGRAM_BUCKETS  ((64 - HISTOGRAM_SUB_BITS + 1) << HISTOGRAM_SUB_BITS)

struct histogram {
    uint64_t total;
    uint64_t max;
    uint64_t counts[HISTOGRAM_BUCKETS];
};

void histogram_add(struct histogram *h, uint64_t value);

/* The value that this share (0..1) of all values does not exceed; 0 when there are none. */
uint64_t histogram_quantile(const struct histogram *h, double share);
