/* SPDX-License-Identifier: MIT */
/* Waits between attempts: exponential with full jitter above a small minimum. */
#include "broker/backoff.h"

#include <sys/random.h>

#include "common/tk_base.h"

/* Jitter needs no secrecy: early in boot, when there is no randomness yet, the middle will do. */
static uint64_t random_below(uint64_t bound)
{
    uint64_t value;
    if (getrandom(&value, sizeof(value), GRND_NONBLOCK) != (ssize_t)sizeof(value))
        return bound / 2;
    return value % bound;
}

uint64_t backoff_next_ms(struct backoff *b)
{
    uint64_t bound = BACKOFF_MIN_MS;
    for (unsigned i = 0; i <= b->failures && bound < BACKOFF_MAX_MS; i++)
        bound *= 2;
    if (bound > BACKOFF_MAX_MS)
        bound = BACKOFF_MAX_MS;
    else
        b->failures++;
    return BACKOFF_MIN_MS + random_below(bound - BACKOFF_MIN_MS + 1);
}
