/* SPDX-License-Identifier: MIT */
/* The timer wheel, by hand and against a model under random operations. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "broker/timer_wheel.h"

#define TICK     TIMER_WHEEL_TICK_MS
#define ROUND_MS ((uint64_t)TIMER_WHEEL_SLOTS * TICK)
#define START_MS 1234567 /* within a tick, as clocks are */

struct item {
    struct timer timer;
    unsigned fired;
};

static struct timer_wheel wheel;

static void count_fired(struct timer *timer, void *arg)
{
    assert_false(timer_is_set(timer));
    tk_container_of(timer, struct item, timer)->fired++;
}

static int set_up(void **state)
{
    timer_wheel_init(&wheel, START_MS, count_fired, NULL);
    return 0;
}

static void fires_once_within_a_tick_of_its_time(void **state)
{
    struct item item = {0};

    timer_set(&wheel, &item.timer, 1000);
    timer_wheel_advance(&wheel, START_MS + 999);
    assert_int_equal(item.fired, 0);
    timer_wheel_advance(&wheel, START_MS + 1000 + TICK);
    assert_int_equal(item.fired, 1);
    timer_wheel_advance(&wheel, START_MS + 10 * ROUND_MS);
    assert_int_equal(item.fired, 1);
    assert_int_equal(wheel.count, 0);
}

/* A wheel that knows ticks only would let 100 ms pass from 1234599 to 1234600. */
static void never_fires_early(void **state)
{
    for (uint64_t start = 1234500; start <= 1234600; start++) {
        for (uint64_t delay = 0; delay <= 2 * TICK; delay++) {
            struct item item = {0};
            timer_wheel_init(&wheel, start, count_fired, NULL);
            timer_set(&wheel, &item.timer, delay);
            if (delay > 0)
                timer_wheel_advance(&wheel, start + delay - 1);
            assert_int_equal(item.fired, 0);
            timer_wheel_advance(&wheel, start + delay + TICK);
            assert_int_equal(item.fired, 1);
        }
    }
}

static void zero_delay_fires_at_the_next_tick(void **state)
{
    struct item item = {0};

    timer_set(&wheel, &item.timer, 0);
    assert_int_equal(item.fired, 0);
    timer_wheel_advance(&wheel, START_MS + TICK);
    assert_int_equal(item.fired, 1);
}

static void setting_again_moves(void **state)
{
    struct item item = {0};

    timer_set(&wheel, &item.timer, 1000);
    timer_set(&wheel, &item.timer, 5000);
    assert_int_equal(wheel.count, 1);
    timer_wheel_advance(&wheel, START_MS + 4999);
    assert_int_equal(item.fired, 0);
    timer_wheel_advance(&wheel, START_MS + 5000 + TICK);
    assert_int_equal(item.fired, 1);
}

static void cleared_timer_does_not_fire(void **state)
{
    struct item item = {0};

    timer_set(&wheel, &item.timer, 1000);
    timer_clear(&wheel, &item.timer);
    timer_clear(&wheel, &item.timer);
    assert_false(timer_is_set(&item.timer));
    timer_wheel_advance(&wheel, START_MS + ROUND_MS);
    assert_int_equal(item.fired, 0);
    assert_int_equal(wheel.count, 0);
}

static void later_rounds_wait_in_their_slot(void **state)
{
    struct item soon = {0}, later = {0};

    timer_set(&wheel, &soon.timer, 1000);
    timer_set(&wheel, &later.timer, 1000 + 3 * ROUND_MS);
    for (uint64_t ms = 0; ms < 1000 + 3 * ROUND_MS; ms += TICK)
        timer_wheel_advance(&wheel, START_MS + ms);
    assert_int_equal(soon.fired, 1);
    assert_int_equal(later.fired, 0);
    timer_wheel_advance(&wheel, START_MS + 1000 + 3 * ROUND_MS + TICK);
    assert_int_equal(later.fired, 1);
}

/* A machine that slept: thirty years of ticks one by one would take minutes. */
static void long_pause_is_caught_up_at_once(void **state)
{
    const uint64_t pause = (uint64_t)30 * 365 * 86400 * 1000;
    struct item due[3] = {0}, not_due = {0};

    timer_set(&wheel, &due[0].timer, 100);
    timer_set(&wheel, &due[1].timer, ROUND_MS + 100);
    timer_set(&wheel, &due[2].timer, pause - TICK);
    timer_set(&wheel, &not_due.timer, pause + 1);
    timer_wheel_advance(&wheel, START_MS + pause);
    for (size_t i = 0; i < TK_ARRAY_LEN(due); i++)
        assert_int_equal(due[i].fired, 1);
    assert_int_equal(not_due.fired, 0);
    timer_wheel_advance(&wheel, START_MS + pause + 1 + TICK);
    assert_int_equal(not_due.fired, 1);
}

static void time_that_goes_backwards_is_ignored(void **state)
{
    struct item item = {0};

    timer_set(&wheel, &item.timer, 1000);
    timer_wheel_advance(&wheel, START_MS - 5000);
    timer_wheel_advance(&wheel, 0);
    timer_wheel_advance(&wheel, START_MS + 999);
    assert_int_equal(item.fired, 0);
    timer_wheel_advance(&wheel, START_MS + 1000 + TICK);
    assert_int_equal(item.fired, 1);
}

/* Timers that fire together, each on the heap and free to end any other. */
#define GROUP 8
static struct item *group[GROUP];

static void free_whole_group(struct timer *timer, void *arg)
{
    (*(unsigned *)arg)++;
    for (size_t i = 0; i < GROUP; i++) {
        timer_clear(&wheel, &group[i]->timer);
        free(group[i]);
    }
}

static void fn_may_free_every_timer_of_the_slot(void **state)
{
    unsigned calls = 0;

    timer_wheel_init(&wheel, START_MS, free_whole_group, &calls);
    for (size_t i = 0; i < GROUP; i++) {
        group[i] = tk_xcalloc(1, sizeof(*group[i]));
        timer_set(&wheel, &group[i]->timer, 500);
    }
    timer_wheel_advance(&wheel, START_MS + 1000);
    assert_int_equal(calls, 1);
    assert_int_equal(wheel.count, 0);
}

static void set_again(struct timer *timer, void *arg)
{
    tk_container_of(timer, struct item, timer)->fired++;
    timer_set(&wheel, timer, *(uint64_t *)arg);
}

/* Also with a delay of whole rounds, which puts the timer back into the slot being fired. */
static void fn_may_set_its_timer_again(void **state)
{
    uint64_t delays[] = {0, 1, TICK, ROUND_MS, ROUND_MS - TICK, ROUND_MS + TICK};

    for (size_t i = 0; i < TK_ARRAY_LEN(delays); i++) {
        struct item item = {0};
        timer_wheel_init(&wheel, START_MS, set_again, &delays[i]);
        timer_set(&wheel, &item.timer, 0);
        timer_wheel_advance(&wheel, START_MS + 5 * ROUND_MS);
        assert_int_equal(item.fired, 1);
        timer_wheel_advance(&wheel, START_MS + 5 * ROUND_MS + delays[i] + TICK);
        assert_int_equal(item.fired, 2);
    }
}

/*
 * The model: for each timer the millisecond it is due, and the tick it must have fired by.
 */
#define MODEL_TIMERS 40

struct model_item {
    struct timer timer;
    bool is_set;
    uint64_t due_ms;
    uint64_t due_tick;
};

static struct model_item model[MODEL_TIMERS];
static uint64_t random_state;

static uint64_t random_below(uint64_t limit)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state % limit;
}

static void model_set(struct model_item *item)
{
    uint64_t delay = random_below(8) == 0 ? random_below(3 * ROUND_MS) : random_below(20 * TICK);
    uint64_t next_tick = wheel.now_ms / TICK + 1;

    timer_set(&wheel, &item->timer, delay);
    item->is_set = true;
    item->due_ms = wheel.now_ms + delay;
    item->due_tick = (item->due_ms + TICK - 1) / TICK;
    if (item->due_tick < next_tick)
        item->due_tick = next_tick;
}

static void model_clear(struct model_item *item)
{
    timer_clear(&wheel, &item->timer);
    item->is_set = false;
}

static void model_change_one(void)
{
    struct model_item *item = &model[random_below(MODEL_TIMERS)];

    if (random_below(3) == 0)
        model_clear(item);
    else
        model_set(item);
}

static void model_fired(struct timer *timer, void *arg)
{
    struct model_item *item = tk_container_of(timer, struct model_item, timer);

    assert_true(item->is_set);
    assert_true(wheel.now_ms >= item->due_ms);
    item->is_set = false;
    for (uint64_t n = random_below(4); n > 0; n--)
        model_change_one();
}

static void model_check(void)
{
    size_t count = 0;

    for (size_t i = 0; i < MODEL_TIMERS; i++) {
        assert_int_equal(timer_is_set(&model[i].timer), model[i].is_set);
        if (model[i].is_set) {
            assert_true(model[i].due_tick > wheel.now_tick);
            count++;
        }
    }
    assert_int_equal(wheel.count, count);
}

static void random_operations_agree_with_the_model(void **state)
{
    for (uint64_t seed = 1; seed <= 20; seed++) {
        uint64_t now = START_MS + seed;
        random_state = seed * 0x9e3779b97f4a7c15;
        memset(model, 0, sizeof(model));
        timer_wheel_init(&wheel, now, model_fired, NULL);
        for (int step = 0; step < 5000; step++) {
            model_change_one();
            now += random_below(200) == 0 ? random_below(4 * ROUND_MS) : random_below(3 * TICK);
            timer_wheel_advance(&wheel, now);
            model_check();
        }
    }
}

#define TEST(name) cmocka_unit_test_setup(name, set_up)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(fires_once_within_a_tick_of_its_time),
        TEST(never_fires_early),
        TEST(zero_delay_fires_at_the_next_tick),
        TEST(setting_again_moves),
        TEST(cleared_timer_does_not_fire),
        TEST(later_rounds_wait_in_their_slot),
        TEST(long_pause_is_caught_up_at_once),
        TEST(time_that_goes_backwards_is_ignored),
        TEST(fn_may_free_every_timer_of_the_slot),
        TEST(fn_may_set_its_timer_again),
        TEST(random_operations_agree_with_the_model),
    };
    return cmocka_run_group_tests_name("timer_wheel", tests, NULL, NULL);
}
