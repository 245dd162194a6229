/* SPDX-License-Identifier: MIT */
/* Waits between attempts grow to their limit, differ from each other, and start again small. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "broker/backoff.h"

static uint64_t largest_of_200(unsigned failures)
{
    uint64_t largest = 0;
    for (int i = 0; i < 200; i++) {
        struct backoff b = {.failures = failures};
        uint64_t ms = backoff_next_ms(&b);
        assert_in_range(ms, BACKOFF_MIN_MS, BACKOFF_MAX_MS);
        largest = ms > largest ? ms : largest;
    }
    return largest;
}

static void first_wait_is_short(void **state)
{
    assert_in_range(largest_of_200(0), BACKOFF_MIN_MS + 1, 2 * BACKOFF_MIN_MS);
}

static void waits_grow_to_the_limit_and_stay(void **state)
{
    struct backoff b = {0};
    for (int i = 0; i < 100; i++)
        assert_in_range(backoff_next_ms(&b), BACKOFF_MIN_MS, BACKOFF_MAX_MS);
    assert_in_range(largest_of_200(b.failures), BACKOFF_MAX_MS / 2, BACKOFF_MAX_MS);
}

/* C166: brokers that lost one server together must not come back together. */
static void waits_differ(void **state)
{
    struct backoff b = {.failures = 20};
    uint64_t first = backoff_next_ms(&b);
    int equal = 0;
    for (int i = 0; i < 20; i++)
        equal += backoff_next_ms(&b) == first;
    assert_true(equal < 5);
}

static void reset_starts_again(void **state)
{
    struct backoff b = {.failures = 20};
    backoff_reset(&b);
    assert_in_range(backoff_next_ms(&b), BACKOFF_MIN_MS, 2 * BACKOFF_MIN_MS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_wait_is_short),
        cmocka_unit_test(waits_grow_to_the_limit_and_stay),
        cmocka_unit_test(waits_differ),
        cmocka_unit_test(reset_starts_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
