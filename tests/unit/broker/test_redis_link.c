/* SPDX-License-Identifier: MIT */
/* The Redis link against a real redis-server: what it carries, and what it survives (C68, C174). */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>
#include <hiredis/hiredis.h>

#include "broker/redis/redis_link.h"
#include "common/tk_log.h"
#include "tests/unit/broker/loop_wait.h"
#include "tests/unit/broker/scratch_redis.h"

static struct scratch_redis redis;
static struct tk_redis_address address;

/* One link and what came of it. */
static struct {
    uv_loop_t loop;
    uv_prepare_t prepare;
    struct redis_link *link;
    int probe_timeout_ms;
    int ups, downs, messages, subscribed;
    int subscribed_at_up;
    char last[300]; /* "channel message" */
    bool closes_on_message, closes_on_up, closes_on_down;
} t;

static void close_link(void)
{
    redis_link_close(t.link);
    t.link = NULL;
}

static void on_up(void *arg)
{
    t.ups++;
    t.subscribed_at_up = t.subscribed;
    if (t.closes_on_up)
        close_link();
}

static void on_down(void *arg)
{
    assert_false(redis_link_is_up(t.link));
    t.downs++;
    if (t.closes_on_down)
        close_link();
}

static void on_message(void *arg, struct tk_slice channel, struct tk_slice message)
{
    t.messages++;
    snprintf(t.last, sizeof(t.last), "%.*s %.*s", (int)channel.len, channel.ptr,
             message.len > 200 ? 200 : (int)message.len, message.ptr);
    if (t.closes_on_message)
        close_link();
}

static void on_subscribed(void *arg, struct tk_slice channel)
{
    t.subscribed++;
}

static void on_prepare(uv_prepare_t *prepare)
{
    if (t.link)
        redis_link_flush(t.link);
}

static void open_link(void)
{
    static const struct redis_link_events events = {on_up, on_down, on_message, on_subscribed};
    const struct redis_link_options options = {
        .address = &address,
        .node_id = "test/0@1",
        .connect_timeout_ms = 500,
        .probe_interval_ms = 50,
        .probe_timeout_ms = t.probe_timeout_ms,
        .max_pending_bytes = 1 << 20,
    };
    t.link = redis_link_open(&t.loop, &options, &events, NULL);
    assert_false(redis_link_is_up(t.link));
}

static int setup(void **state)
{
    memset(&t, 0, sizeof(t));
    t.probe_timeout_ms = 5000; /* a busy machine is no reason to fail */
    address = (struct tk_redis_address){.unix_path = redis.socket};
    uv_loop_init(&t.loop);
    uv_prepare_init(&t.loop, &t.prepare);
    uv_prepare_start(&t.prepare, on_prepare);
    return 0;
}

static void come_up(void)
{
    if (redis.pid == 0)
        scratch_redis_start(&redis, NULL);
    open_link();
    LOOP_WAIT(&t.loop, redis_link_is_up(t.link));
}

static int setup_up(void **state)
{
    setup(state);
    come_up();
    return 0;
}

static int teardown(void **state)
{
    redis_link_close(t.link);
    loop_end(&t.loop);
    return 0;
}

static enum tk_err publish(const char *channel, const char *message)
{
    return redis_link_publish(t.link, tk_slice_str(channel), tk_slice_str(message));
}

static void subscribe(const char *channel)
{
    redis_link_subscribe(t.link, tk_slice_str(channel));
}

static void unsubscribe(const char *channel)
{
    redis_link_unsubscribe(t.link, tk_slice_str(channel));
}

static void subscribe_and_wait(const char *channel)
{
    int before = t.subscribed;
    subscribe(channel);
    LOOP_WAIT(&t.loop, t.subscribed == before + 1);
}

static void carries_messages(void **state)
{
    subscribe_and_wait("tako:topic:room:1");
    assert_int_equal(publish("tako:topic:room:1", "[null,null,\"room:1\",\"shout\",{}]"), TK_OK);
    LOOP_WAIT(&t.loop, t.messages == 1);
    assert_string_equal(t.last, "tako:topic:room:1 [null,null,\"room:1\",\"shout\",{}]");
    assert_int_equal(redis_link_stats(t.link)->published, 1);
    assert_int_equal(redis_link_stats(t.link)->received, 1);
}

static void carries_any_bytes_of_any_length(void **state)
{
    char *large = calloc(1, 3 << 20);
    subscribe_and_wait("c");
    assert_int_equal(redis_link_publish(t.link, TK_SLICE("c"), tk_slice("\0\r\n", 3)), TK_OK);
    LOOP_WAIT(&t.loop, t.messages == 1);
    assert_int_equal(redis_link_publish(t.link, TK_SLICE("c"), tk_slice("", 0)), TK_OK);
    LOOP_WAIT(&t.loop, t.messages == 2);
    assert_string_equal(t.last, "c ");
    /* Larger than max_pending_bytes, but nothing is in its way. */
    assert_int_equal(redis_link_publish(t.link, TK_SLICE("c"), tk_slice(large, 3 << 20)), TK_OK);
    LOOP_WAIT(&t.loop, t.messages == 3);
    assert_int_equal(t.downs, 0);
    free(large);
}

static void sends_nothing_before_flush(void **state)
{
    subscribe_and_wait("c");
    uv_prepare_stop(&t.prepare);
    for (int i = 0; i < 100; i++)
        assert_int_equal(publish("c", "x"), TK_OK);
    loop_idle(&t.loop, 100);
    assert_int_equal(t.messages, 0);
    redis_link_flush(t.link);
    LOOP_WAIT(&t.loop, t.messages == 100);
}

static void subscription_survives_changes_in_flight(void **state)
{
    subscribe("c");
    redis_link_flush(t.link);
    unsubscribe("c");
    redis_link_flush(t.link);
    subscribe("c");
    redis_link_flush(t.link);
    LOOP_WAIT(&t.loop, t.subscribed == 1);
    assert_int_equal(publish("c", "hello"), TK_OK);
    LOOP_WAIT(&t.loop, t.messages == 1);
    assert_int_equal(t.subscribed, 1);
}

static void unsubscribed_channels_fall_silent(void **state)
{
    subscribe_and_wait("a");
    subscribe_and_wait("b");
    unsubscribe("a");
    redis_link_flush(t.link);
    loop_idle(&t.loop, 50);
    assert_int_equal(publish("a", "1"), TK_OK);
    assert_int_equal(publish("b", "2"), TK_OK);
    LOOP_WAIT(&t.loop, t.messages == 1);
    assert_string_equal(t.last, "b 2");
    unsubscribe("b"); /* the last one: the link must not leave subscribed mode */
    loop_idle(&t.loop, 100);
    subscribe_and_wait("a");
    assert_int_equal(t.downs, 0);
}

struct answer {
    int count, nulls, errors;
    char text[64];
};

static void on_answer(void *arg, const struct redisReply *reply)
{
    struct answer *a = arg;
    a->count++;
    a->nulls += reply == NULL;
    a->errors += reply && reply->type == REDIS_REPLY_ERROR;
    if (reply && reply->str)
        snprintf(a->text, sizeof(a->text), "%s", reply->str);
}

static enum tk_err command(struct answer *a, int argc, const char **argv)
{
    struct tk_slice words[8];
    assert_in_range(argc, 1, TK_ARRAY_LEN(words));
    for (int i = 0; i < argc; i++)
        words[i] = tk_slice_str(argv[i]);
    return redis_link_command(t.link, a ? on_answer : NULL, a, words, (size_t)argc);
}

static void commands_get_their_own_answers(void **state)
{
    struct answer set = {0}, get = {0}, bad = {0};
    assert_int_equal(command(&set, 3, (const char *[]){"SET", "k", "v 1"}), TK_OK);
    assert_int_equal(publish("nobody", "x"), TK_OK);
    assert_int_equal(command(NULL, 2, (const char *[]){"INCR", "n"}), TK_OK);
    assert_int_equal(command(&get, 2, (const char *[]){"GET", "k"}), TK_OK);
    assert_int_equal(command(&bad, 1, (const char *[]){"NOSUCHTHING"}), TK_OK);
    assert_int_equal(set.count, 0);
    LOOP_WAIT(&t.loop, bad.count == 1);
    assert_string_equal(set.text, "OK");
    assert_string_equal(get.text, "v 1");
    assert_int_equal(bad.errors, 1);
    assert_true(redis_link_is_up(t.link));
}

static void add_command(struct redis_batch *batch, size_t words, const char *const *text)
{
    redis_batch_command(batch, words);
    for (size_t i = 0; i < words; i++)
        redis_batch_word(batch, tk_slice_str(text[i]));
}

static void a_transaction_is_done_wholly_or_not_at_all(void **state)
{
    struct redis_batch good = {0}, bad = {0};
    struct answer done = {0}, refused = {0}, get = {0}, late = {0};
    add_command(&good, 3, (const char *[]){"SET", "both", "1"});
    add_command(&good, 3, (const char *[]){"SET", "too", "2"});
    add_command(&bad, 3, (const char *[]){"SET", "both", "3"});
    add_command(&bad, 2, (const char *[]){"NONSENSE", "x"});
    assert_int_equal(redis_link_transaction(t.link, on_answer, &done, &good), TK_OK);
    assert_int_equal(redis_link_transaction(t.link, on_answer, &refused, &bad), TK_OK);
    assert_int_equal(command(&get, 2, (const char *[]){"GET", "both"}), TK_OK);
    LOOP_WAIT(&t.loop, get.count == 1);
    assert_string_equal(get.text, "1");
    assert_int_equal(done.count, 1);
    assert_int_equal(done.errors, 0);
    assert_int_equal(refused.errors, 1);

    redis_batch_clear(&good);
    add_command(&good, 2, (const char *[]){"GET", "too"});
    assert_int_equal(redis_link_transaction(t.link, on_answer, &late, &good), TK_OK);
    close_link();
    assert_int_equal(late.nulls, 1);
    redis_batch_fini(&good);
    redis_batch_fini(&bad);
}

static void refused_publishes_are_counted(void **state)
{
    struct answer done = {0};
    const char *deny[] = {"ACL", "SETUSER", "default", "-publish"};
    const char *allow[] = {"ACL", "SETUSER", "default", "+publish"};
    assert_int_equal(command(NULL, 4, deny), TK_OK);
    assert_int_equal(publish("c", "x"), TK_OK);
    assert_int_equal(command(&done, 4, allow), TK_OK);
    LOOP_WAIT(&t.loop, done.count == 1);
    assert_int_equal(redis_link_stats(t.link)->dropped, 1);
    assert_true(redis_link_is_up(t.link));
}

/* More channels than may be unconfirmed at a time; all of them before on_up. */
static void comes_back_with_all_channels(void **state)
{
    char name[32];
    struct answer lost = {0};
    subscribe_and_wait("c");
    t.subscribed = 0;
    scratch_redis_stop(&redis);
    assert_int_equal(command(&lost, 1, (const char *[]){"PING"}), TK_OK);
    LOOP_WAIT(&t.loop, t.downs == 1);
    assert_int_equal(lost.nulls, 1);
    assert_int_equal(publish("c", "x"), TK_EUNAVAIL);
    assert_int_equal(command(&lost, 1, (const char *[]){"PING"}), TK_EUNAVAIL);
    assert_int_equal(redis_link_stats(t.link)->dropped, 1);

    for (int i = 0; i < 9999; i++) {
        snprintf(name, sizeof(name), "tako:topic:room:%d", i);
        subscribe(name);
    }
    unsubscribe("no such channel");
    loop_idle(&t.loop, 200);
    scratch_redis_start(&redis, NULL);
    LOOP_WAIT(&t.loop, t.ups == 2);
    assert_int_equal(t.subscribed_at_up, 10000);
    assert_int_equal(redis_link_stats(t.link)->reconnects, 1);
    assert_int_equal(publish("c", "x"), TK_OK);
    assert_int_equal(publish("tako:topic:room:9998", "y"), TK_OK);
    LOOP_WAIT(&t.loop, t.messages == 2);
    assert_int_equal(lost.count, 1);
}

/* A stopped Redis keeps its sockets open: only the probe tells. */
static void notices_a_redis_that_stands_still(void **state)
{
    t.probe_timeout_ms = 400;
    come_up();
    subscribe_and_wait("c");
    uint64_t start_ms = uv_hrtime() / 1000000;
    kill(redis.pid, SIGSTOP);
    LOOP_WAIT(&t.loop, t.downs == 1);
    uint64_t took_ms = uv_hrtime() / 1000000 - start_ms;
    assert_in_range(took_ms, 300, 3000);
    loop_idle(&t.loop, 700); /* the kernel accepts connections for it: they must not count */
    assert_int_equal(t.ups, 1);
    kill(redis.pid, SIGCONT);
    LOOP_WAIT(&t.loop, t.ups == 2);
    assert_int_equal(publish("c", "x"), TK_OK);
    LOOP_WAIT(&t.loop, t.messages == 1);
}

/* Late probes are no reason when it was this process that stood still. */
static void own_pauses_are_not_held_against_redis(void **state)
{
    t.probe_timeout_ms = 400;
    come_up();
    for (int i = 0; i < 3; i++) {
        usleep(600 * 1000);
        loop_idle(&t.loop, 60);
    }
    assert_int_equal(t.downs, 0);
}

static void output_has_a_limit(void **state)
{
    static char kilobyte[1024];
    enum tk_err err = TK_OK;
    int accepted = 0;
    kill(redis.pid, SIGSTOP);
    while (accepted < 100000 && !err) {
        err = redis_link_publish(t.link, TK_SLICE("c"), tk_slice(kilobyte, sizeof(kilobyte)));
        accepted += !err;
        redis_link_flush(t.link);
    }
    assert_int_equal(err, TK_ELIMIT);
    assert_in_range(accepted, 900, 20000); /* 1 MB of ours and what the kernel takes */
    assert_int_equal(redis_link_stats(t.link)->dropped, 1);
    kill(redis.pid, SIGCONT);
    LOOP_WAIT(&t.loop, publish("c", "x") == TK_OK);
}

/* A busy Redis must not keep the loop from its clients: a turn reads 256 KB at most. */
static void bursts_are_read_in_turns(void **state)
{
    static char message[4096];
    const int total = 4000;
    int published = 0, most = 0;
    subscribe_and_wait("c");
    memset(message, 'x', sizeof(message));
    while (t.messages < total) {
        struct tk_slice bytes = tk_slice(message, sizeof(message));
        while (published < total && redis_link_publish(t.link, TK_SLICE("c"), bytes) == TK_OK)
            published++;
        assert_int_equal(t.downs, 0);
        int before = t.messages;
        uv_run(&t.loop, UV_RUN_ONCE);
        most = t.messages - before > most ? t.messages - before : most;
    }
    assert_in_range(most, 2, 65);
}

static void waits_for_a_redis_that_is_not_there_yet(void **state)
{
    scratch_redis_stop(&redis);
    open_link();
    subscribe("c");
    loop_idle(&t.loop, 200);
    assert_int_equal(publish("c", "x"), TK_EUNAVAIL);
    assert_int_equal(t.ups + t.downs, 0);
    scratch_redis_start(&redis, NULL);
    LOOP_WAIT(&t.loop, t.ups == 1);
    assert_int_equal(t.subscribed_at_up, 1);
    assert_int_equal(t.downs, 0);
    assert_int_equal(redis_link_stats(t.link)->reconnects, 0);
}

static void wrong_password_never_comes_up(void **state)
{
    scratch_redis_stop(&redis);
    scratch_redis_start(&redis, "right");
    static char wrong[] = "wrong", right[] = "right";
    address.password = wrong;
    open_link();
    loop_idle(&t.loop, 500);
    assert_int_equal(t.ups + t.downs, 0);
    close_link();
    address.password = right;
    address.db = 3;
    open_link();
    LOOP_WAIT(&t.loop, t.ups == 1);
    scratch_redis_stop(&redis);
}

static void nothing_comes_after_close(void **state)
{
    struct answer lost = {0};
    subscribe_and_wait("c");
    assert_int_equal(publish("c", "x"), TK_OK);
    assert_int_equal(command(&lost, 1, (const char *[]){"PING"}), TK_OK);
    close_link();
    assert_int_equal(lost.nulls, 1);
    loop_idle(&t.loop, 50);
    assert_int_equal(t.messages + t.downs, 0);
    assert_int_equal(lost.count, 1);
}

/* A broker says goodbye and closes in one breath. */
static void close_sends_what_was_published(void **state)
{
    struct redis_link *listener = t.link;
    subscribe_and_wait("tako:nodes");
    come_up();
    assert_int_equal(publish("tako:nodes", "gone"), TK_OK);
    close_link();
    t.link = listener;
    LOOP_WAIT(&t.loop, t.messages == 1);
    assert_string_equal(t.last, "tako:nodes gone");
}

static void may_be_closed_from_on_message(void **state)
{
    subscribe_and_wait("c");
    t.closes_on_message = true;
    for (int i = 0; i < 10; i++)
        assert_int_equal(publish("c", "x"), TK_OK);
    LOOP_WAIT(&t.loop, t.messages > 0);
    loop_idle(&t.loop, 50);
    assert_int_equal(t.messages, 1);
}

static void may_be_closed_from_on_down(void **state)
{
    t.closes_on_down = true;
    scratch_redis_stop(&redis);
    LOOP_WAIT(&t.loop, t.downs == 1);
    loop_idle(&t.loop, 300);
    assert_int_equal(t.downs, 1);
}

static void may_be_closed_from_on_up(void **state)
{
    if (redis.pid == 0)
        scratch_redis_start(&redis, NULL);
    t.closes_on_up = true;
    open_link();
    LOOP_WAIT(&t.loop, t.ups == 1);
    loop_idle(&t.loop, 50);
}

static void may_be_closed_at_once(void **state)
{
    open_link();
    close_link();
    open_link();
    loop_step(&t.loop);
    close_link();
}

#define TEST(name)    cmocka_unit_test_setup_teardown(name, setup, teardown)
#define TEST_UP(name) cmocka_unit_test_setup_teardown(name, setup_up, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST_UP(carries_messages),
        TEST_UP(carries_any_bytes_of_any_length),
        TEST_UP(sends_nothing_before_flush),
        TEST_UP(subscription_survives_changes_in_flight),
        TEST_UP(unsubscribed_channels_fall_silent),
        TEST_UP(commands_get_their_own_answers),
        TEST_UP(a_transaction_is_done_wholly_or_not_at_all),
        TEST_UP(refused_publishes_are_counted),
        TEST_UP(comes_back_with_all_channels),
        TEST(notices_a_redis_that_stands_still),
        TEST(own_pauses_are_not_held_against_redis),
        TEST_UP(output_has_a_limit),
        TEST_UP(bursts_are_read_in_turns),
        TEST(waits_for_a_redis_that_is_not_there_yet),
        TEST(wrong_password_never_comes_up),
        TEST_UP(nothing_comes_after_close),
        TEST_UP(close_sends_what_was_published),
        TEST_UP(may_be_closed_from_on_message),
        TEST_UP(may_be_closed_from_on_down),
        TEST(may_be_closed_from_on_up),
        TEST(may_be_closed_at_once),
    };
    tk_log_init(TK_LOG_ERROR, NULL);
    scratch_redis_init(&redis);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    scratch_redis_fini(&redis);
    return failed;
}
