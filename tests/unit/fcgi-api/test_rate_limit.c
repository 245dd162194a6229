/* SPDX-License-Identifier: MIT */
/* Token buckets (H98), with a clock of our own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "fcgi-api/rate_limit.h"

#define SECOND UINT64_C(1000000)
#define MINUTE (60 * SECOND)

static struct rate_limits *limits;
static uint64_t now;

static int with_limits(unsigned post, unsigned other)
{
    const unsigned per_minute[RATE_CLASS_COUNT] = {[RATE_POST] = post, [RATE_OTHER] = other};

    limits = rate_limits_new(per_minute);
    now = 1000 * SECOND;
    return 0;
}

static int set_up(void **state)
{
    return with_limits(6, 600);
}

static int tear_down(void **state)
{
    rate_limits_free(limits);
    return 0;
}

static struct client_address address(uint32_t number)
{
    struct client_address address = {{0}};

    memcpy(address.bytes, &number, sizeof(number));
    return address;
}

static unsigned take(uint32_t who, enum rate_class kind)
{
    struct client_address client = address(who);

    return rate_limits_take(limits, &client, kind, now);
}

/* How many requests pass at this moment. */
static unsigned burst(uint32_t who, enum rate_class kind)
{
    unsigned count = 0;

    while (count < 100000 && take(who, kind) == 0)
        count++;
    return count;
}

static void a_minutes_worth_may_come_at_once(void **state)
{
    assert_int_equal(burst(1, RATE_POST), 6);
    assert_int_equal(burst(1, RATE_OTHER), 600);
}

static void tokens_drip_in_evenly(void **state)
{
    burst(1, RATE_POST);
    assert_int_equal(take(1, RATE_POST), 10);
    now += 9 * SECOND;
    assert_int_equal(take(1, RATE_POST), 1);
    now += SECOND;
    assert_int_equal(burst(1, RATE_POST), 1);
    now += 25 * SECOND;
    assert_int_equal(burst(1, RATE_POST), 2);
}

/* Being refused costs nothing, and a bucket holds no more than a minute's worth. */
static void it_fills_to_the_brim_and_no_further(void **state)
{
    burst(1, RATE_POST);
    for (int i = 0; i < 1000; i++)
        assert_int_not_equal(take(1, RATE_POST), 0);
    now += MINUTE;
    assert_int_equal(burst(1, RATE_POST), 6);
    now += 100 * MINUTE;
    assert_int_equal(burst(1, RATE_POST), 6);
}

static void addresses_do_not_share(void **state)
{
    burst(1, RATE_POST);
    assert_int_equal(burst(2, RATE_POST), 6);
}

static void zero_is_no_limit(void **state)
{
    rate_limits_free(limits);
    with_limits(0, 1);
    assert_false(rate_limits_are_on(limits, RATE_POST));
    assert_int_equal(burst(1, RATE_POST), 100000);
    assert_int_equal(burst(1, RATE_OTHER), 1);
}

/* Workers are forked from here on: what one takes is gone for all. */
static void processes_share(void **state)
{
    pid_t child = fork();
    int status;

    assert_int_not_equal(child, -1);
    if (child == 0)
        _exit((int)burst(1, RATE_POST));
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(WEXITSTATUS(status), 6);
    assert_int_equal(burst(1, RATE_POST), 0);
    now += 10 * SECOND;
    assert_int_equal(burst(1, RATE_POST), 1);
}

/*
 * More addresses than the table has places: memory does not grow, and everybody who comes new is
 * let in. Once they have been quiet for a minute their places count as free.
 */
static void a_crowd_pushes_nobody_out_for_good(void **state)
{
    for (uint32_t i = 10; i < 200000; i++)
        assert_int_equal(take(i, RATE_POST), 0);
    now += MINUTE;
    assert_int_equal(burst(1, RATE_POST), 6);
    for (uint32_t i = 10; i < 1000; i++)
        assert_int_equal(take(i, RATE_POST), 0);
    assert_int_not_equal(take(1, RATE_POST), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_minutes_worth_may_come_at_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(tokens_drip_in_evenly, set_up, tear_down),
        cmocka_unit_test_setup_teardown(it_fills_to_the_brim_and_no_further, set_up, tear_down),
        cmocka_unit_test_setup_teardown(addresses_do_not_share, set_up, tear_down),
        cmocka_unit_test_setup_teardown(zero_is_no_limit, set_up, tear_down),
        cmocka_unit_test_setup_teardown(processes_share, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_crowd_pushes_nobody_out_for_good, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
