/* SPDX-License-Identifier: MIT */
#include "tests/unit/broker/loop_wait.h"

#define STEP_MS 10

static void on_step(uv_timer_t *timer)
{
    (void)timer;
}

static void run_for(uv_loop_t *loop, uint64_t ms)
{
    uv_timer_t timer;
    uv_timer_init(loop, &timer);
    uv_timer_start(&timer, on_step, ms, ms); /* repeats: uv_run may fire it before it blocks */
    uv_run(loop, UV_RUN_ONCE);
    uv_close((uv_handle_t *)&timer, NULL);
    uv_run(loop, UV_RUN_NOWAIT); /* lets go of the timer */
}

void loop_step(uv_loop_t *loop)
{
    run_for(loop, STEP_MS);
}

void loop_idle(uv_loop_t *loop, uint64_t ms)
{
    uint64_t end_ns = uv_hrtime() + ms * UINT64_C(1000000);
    while (uv_hrtime() < end_ns)
        run_for(loop, 1);
}

static void close_handle(uv_handle_t *handle, void *arg)
{
    (void)arg;
    if (!uv_is_closing(handle))
        uv_close(handle, NULL);
}

void loop_end(uv_loop_t *loop)
{
    uv_walk(loop, close_handle, NULL);
    uv_run(loop, UV_RUN_DEFAULT);
    int err = uv_loop_close(loop);
    tk_assert(err == 0);
}
