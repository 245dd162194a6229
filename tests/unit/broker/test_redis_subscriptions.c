/* SPDX-License-Identifier: MIT */
/* What is said to Redis about channels, and when a channel counts as subscribed (C43). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "broker/redis/redis_subscriptions.h"

static struct redis_subscriptions subs;
static struct tk_buf out;

static int setup(void **state)
{
    redis_subscriptions_init(&subs);
    out = (struct tk_buf){0};
    return 0;
}

static int teardown(void **state)
{
    redis_subscriptions_fini(&subs);
    tk_buf_fini(&out);
    return 0;
}

static void add(const char *channel)
{
    redis_subscriptions_add(&subs, tk_slice_str(channel));
}

static void take(const char *channel)
{
    redis_subscriptions_remove(&subs, tk_slice_str(channel));
}

static bool confirm(const char *channel)
{
    return redis_subscriptions_confirm(&subs, tk_slice_str(channel));
}

static void expect_written(const char *expected)
{
    tk_buf_clear(&out);
    redis_subscriptions_write(&subs, &out);
    assert_string_equal(tk_buf_str(&out), expected);
}

static size_t written_commands(void)
{
    size_t count = 0;
    tk_buf_clear(&out);
    redis_subscriptions_write(&subs, &out);
    for (size_t i = 0; i < out.len; i++)
        count += out.data[i] == '*';
    return count;
}

static void subscribes_and_unsubscribes(void **state)
{
    add("a");
    expect_written("*2\r\n$9\r\nSUBSCRIBE\r\n$1\r\na\r\n");
    expect_written("");
    assert_true(confirm("a"));
    take("a");
    expect_written("*2\r\n$11\r\nUNSUBSCRIBE\r\n$1\r\na\r\n");
    assert_false(confirm("a"));
    assert_int_equal(subs.map.count, 0);
}

static void changes_of_a_turn_share_commands(void **state)
{
    add("a");
    add("b");
    add("c");
    expect_written("*4\r\n$9\r\nSUBSCRIBE\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n");
}

static void a_change_of_mind_costs_nothing(void **state)
{
    add("a");
    take("a");
    expect_written("");
    assert_int_equal(subs.map.count, 0);
}

/* A library that counts confirmations per channel loses the subscription here. */
static void subscribe_unsubscribe_subscribe_in_flight(void **state)
{
    add("a");
    assert_int_equal(written_commands(), 1);
    take("a");
    assert_int_equal(written_commands(), 1);
    add("a");
    assert_int_equal(written_commands(), 1);
    assert_false(confirm("a")); /* it will be unsubscribed again in a moment */
    assert_false(confirm("a"));
    assert_true(confirm("a"));
    assert_int_equal(subs.map.count, 1);
}

static void asking_again_is_confirmed_again(void **state)
{
    add("a");
    written_commands();
    assert_true(confirm("a"));
    take("a"); /* the topic closed and opened within one turn: its new holder waits, too */
    add("a");
    expect_written("*2\r\n$9\r\nSUBSCRIBE\r\n$1\r\na\r\n");
    assert_true(confirm("a"));
}

static void confirmations_of_nothing_are_ignored(void **state)
{
    assert_false(confirm("a"));
    add("a");
    assert_false(confirm("a")); /* not even said yet */
    written_commands();
    assert_true(confirm("a"));
    assert_false(confirm("a"));
    assert_int_equal(subs.unconfirmed, 0);
}

static void everything_wanted_is_said_again_after_a_restart(void **state)
{
    add("a");
    add("b");
    written_commands();
    assert_true(confirm("a"));
    take("b"); /* unsubscribed while its confirmation was under way: must not come back */
    redis_subscriptions_restart(&subs);
    assert_int_equal(subs.map.count, 1);
    assert_false(redis_subscriptions_are_restored(&subs));
    expect_written("*2\r\n$9\r\nSUBSCRIBE\r\n$1\r\na\r\n");
    assert_true(confirm("a"));
    assert_true(redis_subscriptions_are_restored(&subs));
}

static void channels_dropped_while_restoring_do_not_hold_it_up(void **state)
{
    add("a");
    add("b");
    redis_subscriptions_restart(&subs);
    take("b");
    assert_int_equal(written_commands(), 1);
    assert_false(redis_subscriptions_are_restored(&subs));
    assert_true(confirm("a"));
    assert_true(redis_subscriptions_are_restored(&subs));
}

/* Clients join and leave while Redis is away: nothing may stay behind. */
static void churn_while_away_leaves_nothing(void **state)
{
    char name[24];
    for (int i = 0; i < 1000; i++) {
        snprintf(name, sizeof(name), "room:%d", i);
        add(name);
        take(name);
    }
    assert_int_equal(subs.map.count, 0);
    assert_null(subs.first);
    assert_null(subs.last);
}

static void many_channels_go_in_batches_and_wait_for_confirmations(void **state)
{
    char name[24];
    size_t said, total = 0, confirmed = 0;
    for (int i = 0; i < 10000; i++) {
        snprintf(name, sizeof(name), "room:%05d", i);
        add(name);
    }
    redis_subscriptions_restart(&subs);
    assert_in_range(written_commands(), 2, 100);
    while ((said = subs.unconfirmed) > 0) {
        assert_true(said <= 4096);
        total += said;
        for (size_t i = 0; i < out.len; i++) {
            if (out.data[i] != 'r')
                continue;
            assert_true(redis_subscriptions_confirm(&subs, tk_slice(out.data + i, 10)));
            confirmed++;
        }
        assert_int_equal(redis_subscriptions_are_restored(&subs), confirmed == 10000);
        written_commands();
    }
    assert_int_equal(total, 10000);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(subscribes_and_unsubscribes),
        TEST(changes_of_a_turn_share_commands),
        TEST(a_change_of_mind_costs_nothing),
        TEST(subscribe_unsubscribe_subscribe_in_flight),
        TEST(asking_again_is_confirmed_again),
        TEST(confirmations_of_nothing_are_ignored),
        TEST(everything_wanted_is_said_again_after_a_restart),
        TEST(channels_dropped_while_restoring_do_not_hold_it_up),
        TEST(churn_while_away_leaves_nothing),
        TEST(many_channels_go_in_batches_and_wait_for_confirmations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
