/* SPDX-License-Identifier: MIT */
/* For tests that run a real loop: wait for a condition, never for a time. */
#pragma once

#include <uv.h>

#include "common/tk_base.h"

#define LOOP_WAIT_MS 10000

/* One turn of the loop that blocks for some milliseconds at most. */
void loop_step(uv_loop_t *loop);

/* Turns until at least ms have passed: to see that something does not happen. */
void loop_idle(uv_loop_t *loop, uint64_t ms);

/* Closes every handle that is left and the loop. */
void loop_end(uv_loop_t *loop);

#define LOOP_WAIT(loop, cond)                                                                      \
    do {                                                                                           \
        uint64_t loop_end_ns = uv_hrtime() + LOOP_WAIT_MS * UINT64_C(1000000);                     \
        while (!(cond)) {                                                                          \
            if (uv_hrtime() > loop_end_ns)                                                         \
                fail_msg("%s:%d: waited in vain for %s", __FILE__, __LINE__, #cond);               \
            loop_step(loop);                                                                       \
        }                                                                                          \
    } while (0)
