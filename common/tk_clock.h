/* SPDX-License-Identifier: MIT */
/* The clock that never jumps, the same for all processes of a machine. */
#pragma once

#include <stdint.h>
#include <time.h>

static inline uint64_t tk_clock_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static inline int64_t tk_clock_ms(void)
{
    return (int64_t)(tk_clock_us() / 1000);
}
