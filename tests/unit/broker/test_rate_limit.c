/* SPDX-License-Identifier: MIT */
/* The token bucket: how many at once, how many a second, and the two ends of the range. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "broker/rate_limit.h"

static int64_t take_all(struct rate_limit *r, uint64_t now_ms, int64_t per_s, int64_t burst)
{
    int64_t taken = 0;
    while (taken <= 2 * burst && rate_limit_take(r, now_ms, per_s, burst))
        taken++;
    return taken;
}

static void a_full_bucket_holds_its_burst(void **state)
{
    struct rate_limit r = {0};
    assert_int_equal(take_all(&r, 0, 10, 50), 50);
    assert_int_equal(take_all(&r, 0, 10, 50), 0);
}

static void it_fills_at_its_rate_up_to_the_burst(void **state)
{
    struct rate_limit r = {0};
    take_all(&r, 1000, 10, 50);
    assert_int_equal(take_all(&r, 1100, 10, 50), 1);
    assert_int_equal(take_all(&r, 1150, 10, 50), 0);
    assert_int_equal(take_all(&r, 2100, 10, 50), 10);
    assert_int_equal(take_all(&r, 86400000, 10, 50), 50);
}

static void over_a_long_time_the_rate_holds(void **state)
{
    struct rate_limit r = {0};
    int64_t taken = 0;
    for (uint64_t now = 0; now < 60000; now += 7)
        taken += take_all(&r, now, 100, 5);
    assert_in_range(taken, 5 + 5990, 5 + 6000);
}

static void asking_takes_nothing(void **state)
{
    struct rate_limit r = {0};
    for (int i = 0; i < 10; i++)
        assert_true(rate_limit_allows(&r, 5, 1, 1));
    assert_true(rate_limit_take(&r, 5, 1, 1));
    assert_false(rate_limit_allows(&r, 5, 1, 1));
    assert_false(rate_limit_allows(&r, 1004, 1, 1));
    assert_true(rate_limit_allows(&r, 1005, 1, 1));
}

static void zero_is_no_limit(void **state)
{
    struct rate_limit r = {0};
    assert_int_equal(take_all(&r, 0, 0, 1000), 2001);
}

static void the_largest_setting(void **state)
{
    struct rate_limit r = {0};
    assert_int_equal(take_all(&r, UINT64_C(1) << 40, 1000000, 10000000), 10000000);
    assert_int_equal(take_all(&r, (UINT64_C(1) << 40) + 1, 1000000, 10000000), 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_full_bucket_holds_its_burst),
        cmocka_unit_test(it_fills_at_its_rate_up_to_the_burst),
        cmocka_unit_test(over_a_long_time_the_rate_holds),
        cmocka_unit_test(asking_takes_nothing),
        cmocka_unit_test(zero_is_no_limit),
        cmocka_unit_test(the_largest_setting),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
