/* SPDX-License-Identifier: MIT */
/* Replies find the caller whose command they answer, in order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "broker/redis/redis_pending.h"

static void one(void *arg, const struct redisReply *reply)
{
    (void)arg;
    (void)reply;
}

static void expect_next(struct redis_pending *p, redis_reply_fn expected, void *expected_arg)
{
    redis_reply_fn fn = NULL;
    void *arg = NULL;
    assert_true(redis_pending_pop(p, &fn, &arg));
    assert_ptr_equal(fn, expected);
    assert_ptr_equal(arg, expected_arg);
}

static void keeps_order_across_publishes(void **state)
{
    struct redis_pending p = {0};
    int a, b;
    assert_int_equal(redis_pending_push(&p, NULL, NULL), TK_OK);
    assert_int_equal(redis_pending_push(&p, NULL, NULL), TK_OK);
    assert_int_equal(redis_pending_push(&p, one, &a), TK_OK);
    assert_int_equal(redis_pending_push(&p, NULL, NULL), TK_OK);
    assert_int_equal(redis_pending_push(&p, one, &b), TK_OK);

    expect_next(&p, NULL, NULL);
    expect_next(&p, NULL, NULL);
    expect_next(&p, one, &a);
    expect_next(&p, NULL, NULL);
    expect_next(&p, one, &b);
    redis_reply_fn fn;
    void *arg;
    assert_false(redis_pending_pop(&p, &fn, &arg));
    redis_pending_fini(&p);
}

static void a_million_publishes_are_one_entry(void **state)
{
    struct redis_pending p = {0};
    for (int i = 0; i < 1000000; i++)
        assert_int_equal(redis_pending_push(&p, NULL, NULL), TK_OK);
    assert_int_equal(p.count, 1);
    for (int i = 0; i < 1000000; i++)
        expect_next(&p, NULL, NULL);
    assert_int_equal(p.count, 0);
    redis_pending_fini(&p);
}

static void grows_while_it_turns_and_has_a_limit(void **state)
{
    struct redis_pending p = {0};
    static char args[REDIS_PENDING_MAX + 40];
    size_t in = 0, out = 0;
    while (in < 40)
        assert_int_equal(redis_pending_push(&p, one, &args[in++]), TK_OK);
    while (out < 40) /* the head moves before the ring grows */
        expect_next(&p, one, &args[out++]);
    while (in < sizeof(args))
        assert_int_equal(redis_pending_push(&p, one, &args[in++]), TK_OK);
    assert_int_equal(redis_pending_push(&p, one, NULL), TK_ELIMIT);
    while (out < in)
        expect_next(&p, one, &args[out++]);
    redis_pending_fini(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_order_across_publishes),
        cmocka_unit_test(a_million_publishes_are_one_entry),
        cmocka_unit_test(grows_while_it_turns_and_has_a_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
