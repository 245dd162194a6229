/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdint.h>

#define BACKOFF_MIN_MS 50
#define BACKOFF_MAX_MS 5000

/*
 * How long to wait before the next attempt to reach a service: random between BACKOFF_MIN_MS and a
 * bound that doubles with every failure, so that brokers which lost the same server together do not
 * come back together. Zero-initialised is ready for use.
 */
struct backoff {
    unsigned failures;
};

uint64_t backoff_next_ms(struct backoff *b);

/* The service answered: the next failure starts with short waits again. */
static inline void backoff_reset(struct backoff *b)
{
    b->failures = 0;
}
