/* SPDX-License-Identifier: MIT */
/*
 * Timers for everything that there is one of per connection: O(1) to set, move and clear, 24 bytes
 * each (timers that live inside their owner), one clock for all. Resolution is one tick; a timer
 * never fires early. The wheel knows no clock: the owner calls timer_wheel_advance.
 */
#pragma once

#include "common/tk_base.h"

struct timer {
    struct timer *next;
    struct timer **prev; /* NULL while not set */
    uint64_t due_tick;
};

#define TIMER_WHEEL_TICK_MS 100
#define TIMER_WHEEL_SLOTS   1024 /* later timers stay in their slot for another round */

/* May set or clear any timer, this one included, and may free what holds this one. */
typedef void (*timer_fn)(struct timer *timer, void *arg);

struct timer_wheel {
    struct timer *slots[TIMER_WHEEL_SLOTS];
    uint64_t now_ms;
    uint64_t now_tick; /* all that was due by then has fired */
    timer_fn fn;
    void *arg;
    size_t count;
};

/* fn is called for every timer of this wheel; it tells them apart by what they are embedded in. */
void timer_wheel_init(struct timer_wheel *w, uint64_t now_ms, timer_fn fn, void *arg);

/* (Re)sets the timer to fire no earlier than delay_ms from the wheel's present time. */
void timer_set(struct timer_wheel *w, struct timer *t, uint64_t delay_ms);
void timer_clear(struct timer_wheel *w, struct timer *t); /* fine when not set */

static inline bool timer_is_set(const struct timer *t)
{
    return t->prev != NULL;
}

/*
 * Fires what is due, in no particular order; what fn sets waits for a later call. Time that goes
 * backwards is ignored. However long the pause, no slot is visited twice. Not from within fn.
 */
void timer_wheel_advance(struct timer_wheel *w, uint64_t now_ms);
