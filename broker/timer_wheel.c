/* SPDX-License-Identifier: MIT */
/*
 * A hashed wheel: a timer hangs in the slot of its tick, whichever round that is in.
 * Invariant: whatever is in the wheel is due later than now_tick, except while slots are being
 * fired.
 */
#include "broker/timer_wheel.h"

static void link_timer(struct timer **head, struct timer *t)
{
    t->next = *head;
    t->prev = head;
    if (t->next)
        t->next->prev = &t->next;
    *head = t;
}

static void unlink_timer(struct timer *t)
{
    *t->prev = t->next;
    if (t->next)
        t->next->prev = t->prev;
    t->next = NULL;
    t->prev = NULL;
}

static struct timer **slot_of(struct timer_wheel *w, uint64_t tick)
{
    return &w->slots[tick % TIMER_WHEEL_SLOTS];
}

void timer_wheel_init(struct timer_wheel *w, uint64_t now_ms, timer_fn fn, void *arg)
{
    *w = (struct timer_wheel){
        .now_ms = now_ms,
        .now_tick = now_ms / TIMER_WHEEL_TICK_MS,
        .fn = fn,
        .arg = arg,
    };
}

/* The first tick that begins when the delay is over, and that is not fired already. */
static uint64_t due_tick(const struct timer_wheel *w, uint64_t delay_ms)
{
    uint64_t due_ms = w->now_ms + delay_ms;
    uint64_t tick = due_ms / TIMER_WHEEL_TICK_MS + (due_ms % TIMER_WHEEL_TICK_MS > 0);
    return tick > w->now_tick ? tick : w->now_tick + 1;
}

void timer_set(struct timer_wheel *w, struct timer *t, uint64_t delay_ms)
{
    tk_assert(delay_ms <= INT64_MAX); /* a difference that came out negative */
    timer_clear(w, t);
    t->due_tick = due_tick(w, delay_ms);
    link_timer(slot_of(w, t->due_tick), t);
    w->count++;
}

void timer_clear(struct timer_wheel *w, struct timer *t)
{
    if (!timer_is_set(t))
        return;
    unlink_timer(t);
    w->count--;
}

/*
 * The slot's timers move to a list of their own, from which each is taken once: so fn may clear any
 * of them, or set one into this very slot, without the walk noticing.
 */
static void fire_slot(struct timer_wheel *w, struct timer **slot)
{
    struct timer *waiting = *slot;
    if (!waiting)
        return;
    *slot = NULL;
    waiting->prev = &waiting;
    while (waiting) {
        struct timer *t = waiting;
        unlink_timer(t);
        if (t->due_tick > w->now_tick) {
            link_timer(slot, t);
            continue;
        }
        w->count--;
        w->fn(t, w->arg);
    }
}

void timer_wheel_advance(struct timer_wheel *w, uint64_t now_ms)
{
    if (now_ms <= w->now_ms)
        return;
    uint64_t tick = w->now_tick;
    w->now_ms = now_ms;
    w->now_tick = now_ms / TIMER_WHEEL_TICK_MS;

    uint64_t passed = w->now_tick - tick;
    if (passed > TIMER_WHEEL_SLOTS)
        passed = TIMER_WHEEL_SLOTS;
    for (; passed > 0; passed--)
        fire_slot(w, slot_of(w, ++tick));
}
