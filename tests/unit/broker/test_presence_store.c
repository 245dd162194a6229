/* SPDX-License-Identifier: MIT */
/*
 * Presence through a real Redis: two workers in one process, what they leave there, and what they
 * make of what others write (C123-C133, C174; common/envelope.h).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <hiredis/hiredis.h>

#include "broker/channels/channels.h"
#include "common/envelope.h"
#include "tests/unit/broker/fake_client.h"
#include "tests/unit/broker/loop_wait.h"
#include "tests/unit/broker/scratch_redis.h"

#define JOIN  "[\"1\",\"1\",\"room:1\",\"phx_join\",{}]"
#define ENTRY "tako:presence:room:1"
#define SEQS  "tako:presence-seqs:room:1"

/* A worker without its process: the loop's turns end as worker.c ends them. */
struct peer {
    struct fake_broker fb;
    uv_prepare_t prepare;
    struct fake_client client;
};

static struct scratch_redis redis;
static struct tk_redis_address address;
static redisContext *outsider;
static struct peer one, two;

static void on_up(void *arg)
{
    struct broker *b = arg;
    presence_on_link_up(&b->presence.engine);
    node_announce(b);
}

static void on_down(void *arg)
{
    struct broker *b = arg;
    presence_on_link_down(&b->presence.engine);
    pubsub_on_down(b);
}

static void on_message(void *arg, struct tk_slice channel, struct tk_slice message)
{
    pubsub_on_message(arg, channel, message);
}

static void on_subscribed(void *arg, struct tk_slice channel)
{
    pubsub_on_subscribed(arg, channel);
}

static void on_prepare(uv_prepare_t *prepare)
{
    struct broker *b = prepare->data;
    b->now_ms = uv_now(b->loop);
    presence_store_tick(b, b->now_ms);
    broker_end_turn(b);
}

/* A worker counts its lookups; here it never has any. */
static void open_directory(struct broker *b)
{
    static const struct user_directory_options options = {
        .conninfo = "host=/nowhere",
        .connections = 1,
        .lookup_timeout_ms = 1000,
    };
    b->directory = user_directory_open(b->loop, &options);
}

static void link_up(struct peer *p)
{
    static const struct redis_link_events events = {on_up, on_down, on_message, on_subscribed};
    struct broker *b = &p->fb.broker;
    const struct redis_link_options options = {
        .address = &address,
        .node_id = b->node.id,
        .connect_timeout_ms = 2000,
        .probe_interval_ms = 100,
        .probe_timeout_ms = 10000,
        .max_pending_bytes = 16 << 20,
    };
    b->redis = redis_link_open(b->loop, &options, &events, b);
    redis_link_subscribe(b->redis, TK_SLICE(TK_CHANNEL_NODES));
    node_start(b);
    LOOP_WAIT(b->loop, redis_link_is_up(b->redis));
}

static void start(struct peer *p, const char *name, unsigned user)
{
    struct broker *b = &p->fb.broker;
    fake_broker_init(&p->fb, user_socket_channels);
    p->fb.settings.node_lease_ms = 2000;
    b->presence.engine.options.lease_ms = 2000;
    b->presence.engine.options.window_ms = 20;
    node_init(&b->node, name, 0);
    uv_prepare_init(b->loop, &p->prepare);
    p->prepare.data = b;
    uv_prepare_start(&p->prepare, on_prepare);
    open_directory(b);
    link_up(p);
    fake_connect(&p->client, &p->fb, PHX_V2, user);
}

static void stop(struct peer *p)
{
    struct broker *b = &p->fb.broker;
    fake_client_fini(&p->client);
    broker_end_turn(b);
    node_stop(b, 0);
    redis_link_close(b->redis);
    b->redis = NULL;
    user_directory_close(b->directory);
    uv_close((uv_handle_t *)&p->prepare, NULL);
    uv_run(b->loop, UV_RUN_DEFAULT);
    fake_broker_fini(&p->fb);
}

static int setup(void **state)
{
    (void)state;
    scratch_redis_start(&redis, NULL);
    outsider = redisConnectUnix(redis.socket);
    assert_int_equal(outsider->err, 0);
    start(&one, "one", 1);
    start(&two, "two", 2);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    stop(&one);
    stop(&two);
    redisFree(outsider);
    scratch_redis_stop(&redis);
    return 0;
}

static long long ask(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    redisReply *reply = redisvCommand(outsider, format, args);
    va_end(args);
    assert_non_null(reply);
    assert_int_not_equal(reply->type, REDIS_REPLY_ERROR);
    long long number = reply->type == REDIS_REPLY_INTEGER ? reply->integer : 0;
    freeReplyObject(reply);
    return number;
}

static void turn_both(void)
{
    loop_step(&one.fb.loop);
    loop_step(&two.fb.loop);
}

#define WAIT(cond)                                                                                 \
    do {                                                                                           \
        for (int turns = 0; !(cond); turns++) {                                                    \
            if (turns > 1000)                                                                      \
                fail_msg("waited in vain for %s", #cond);                                          \
            turn_both();                                                                           \
        }                                                                                          \
    } while (0)

static bool is_joined(const struct peer *p)
{
    const struct channel *ch = p->client.session->channels;
    return ch && ch->state == CHANNEL_JOINED;
}

static uint32_t seen(const struct peer *p)
{
    const struct topic *t = topic_find(&p->fb.broker.topics, TK_SLICE("room:1"));
    return t && t->presence ? presence_count(t->presence) : 0;
}

static struct presence *engine(struct peer *p)
{
    return &p->fb.broker.presence.engine;
}

static void enter(struct peer *p)
{
    fake_send(&p->client, JOIN);
    WAIT(is_joined(p));
}

/* The last frame that the client got and that has this in it. */
static const char *last_with(const struct peer *p, const char *part)
{
    for (size_t i = p->client.sent_count; i > 0; i--)
        if (strstr(p->client.sent[i - 1], part))
            return p->client.sent[i - 1];
    return "";
}

static void entries_reach_the_others_and_redis(void **state)
{
    (void)state;
    enter(&one);
    WAIT(ask("HLEN " ENTRY) == 1);
    enter(&two);
    WAIT(seen(&one) == 2 && seen(&two) == 2);
    assert_non_null(strstr(last_with(&two, "presence_state"), "\"metas\"")); /* C133 */
    assert_int_equal(ask("HLEN " ENTRY), 2);
    assert_int_equal(ask("HLEN " SEQS), 2);
    assert_true(ask("PTTL " ENTRY) > 2000 && ask("PTTL " ENTRY) <= 12000);
    assert_true(ask("PTTL " SEQS) > 2000);
    fake_drop(&one.client);
    WAIT(seen(&two) == 1);
    WAIT(ask("HLEN " ENTRY) == 1);
    fake_drop(&two.client);
    WAIT(ask("EXISTS " ENTRY " " SEQS) == 0);
}

static void a_topic_that_redis_lost_is_written_again(void **state)
{
    (void)state;
    enter(&one);
    WAIT(ask("HLEN " ENTRY) == 1);
    ask("DEL " ENTRY " " SEQS);
    WAIT(ask("HLEN " ENTRY) == 1 && ask("HLEN " SEQS) == 1); /* renewed every four seconds */
    ask("DEL tako:node:%s", one.fb.broker.node.id);
    ask("DEL " ENTRY " " SEQS);
    WAIT(ask("EXISTS tako:node:%s", one.fb.broker.node.id) == 1);
    WAIT(ask("HLEN " ENTRY) == 1);
}

static void write_foreign(const char *node, int count)
{
    for (int i = 0; i < count; i++)
        ask("HSET " ENTRY
            " %s|AAAAAAAAAAA%05d [7,\"AAAAAAAAAAA%05d\",\"key%d\",1000,0,{\"phx_ref\":"
            "\"AAAAAAAAAAA%05d\"}]",
            node, i, i, i, i);
    ask("HSET " SEQS " %s 7", node);
}

static void many_entries_are_read_step_by_step(void **state)
{
    (void)state;
    ask("HSET tako:node:far/0@x floor 0");
    write_foreign("far/0@x", 3000);
    enter(&one);
    WAIT(seen(&one) == 3001); /* itself, too */
    assert_int_equal(one.client.fragments > 2, true);
    ask("HDEL " ENTRY " far/0@x|AAAAAAAAAAA00000");
    ask("PUBLISH " ENTRY " [\"far/0@x\",7,8,[],[\"AAAAAAAAAAA00000\"]]");
    WAIT(seen(&one) == 3000);
    ask("DEL tako:node:far/0@x");
    WAIT(seen(&one) == 1); /* C126 */
    WAIT(ask("HLEN " ENTRY) == 1);
    assert_int_equal(ask("HLEN " SEQS), 1);
}

static void entries_of_a_dead_node_are_never_seen(void **state)
{
    (void)state;
    write_foreign("dead/0@x", 5);
    enter(&one);
    assert_non_null(strstr(last_with(&one, "presence_state"), "\"presence_state\",{}"));
    WAIT(ask("HLEN " ENTRY) == 1);
    assert_int_equal(seen(&one), 1);
}

static void c128_news_of_a_restart_remove_the_old_incarnation(void **state)
{
    (void)state;
    ask("HSET tako:node:far/0@x floor 0");
    write_foreign("far/0@x", 5);
    enter(&one);
    WAIT(seen(&one) == 6);
    ask("PUBLISH tako:nodes {\"node\":\"far/0@y\",\"state\":\"up\"}"); /* may share its port */
    ask("PUBLISH tako:nodes {\"node\":\"far/1@y\",\"state\":\"up\",\"replaces\":true}");
    ask("PUBLISH tako:nodes {\"node\":\"far/0@y\",\"state\":\"gone\",\"replaces\":true}");
    ask("PUBLISH " ENTRY " [\"far/0@x\",7,8,[],[\"AAAAAAAAAAA00000\"]]");
    WAIT(seen(&one) == 5);
    ask("PUBLISH tako:nodes {\"node\":\"far/0@y\",\"state\":\"up\",\"replaces\":true}");
    WAIT(seen(&one) == 1);
}

static void c178_changes_are_told_without_reading(void **state)
{
    (void)state;
    enter(&one);
    enter(&two);
    WAIT(seen(&one) == 2 && seen(&two) == 2);
    uint64_t reads = engine(&one)->stats.reads, deltas = engine(&one)->stats.deltas;
    for (int i = 0; i < 5; i++) {
        fake_send(&two.client, "[\"1\",\"2\",\"room:1\",\"update_presence\",{\"n\":1}]");
        WAIT(engine(&one)->stats.deltas > deltas);
        deltas = engine(&one)->stats.deltas;
    }
    assert_int_equal(engine(&one)->stats.reads, reads);
    assert_int_equal(engine(&one)->stats.gaps, 0);
}

/* The only worker was killed, and is back before its lease is over: nobody else could tell. */
static void c128_a_worker_ends_the_lease_of_its_predecessor(void **state)
{
    (void)state;
    for (const char *const *part = (const char *const[]){"up", "draining", NULL}; *part; part++) {
        ask("HSET tako:node:back/0@old floor 0 state %s", *part);
        ask("HSET tako:node-names back/0 back/0@old");
        stop(&two);
        start(&two, "back", 2);
        const char *id = two.fb.broker.node.id;
        WAIT(ask("EXISTS tako:node:%s", id) == 1);
        bool is_up = strcmp(*part, "up") == 0;
        WAIT(ask("EXISTS tako:node:back/0@old") == !is_up);
        assert_true(ask("PTTL tako:node-names") > 0);
    }
}

static void c174_junk_is_ignored_and_counted(void **state)
{
    (void)state;
    ask("HSET tako:node:far/0@x floor junk");
    ask("HSET " ENTRY " junk junk far/0@x|AAAAAAAAAAA00000 [7,\"AAAAAAAAAAA00001\",\"k\",1,0,{}]");
    ask("HSET " ENTRY " far/0@x|AAAAAAAAAAA00003 [7,\"AAAAAAAAAAA00003\",\"__proto__\",1,0,{}]");
    ask("HSET " SEQS " far/0@x -1");
    enter(&one);
    WAIT(engine(&one)->stats.malformed >= 4);
    ask("PUBLISH " ENTRY " junk");
    ask("PUBLISH " ENTRY " [\"far/0@x\",7,8,[[1]],[]]");
    WAIT(engine(&one)->stats.malformed >= 6);
    ask("PUBLISH tako:nodes junk");
    ask("PUBLISH tako:nodes {\"node\":5,\"state\":\"up\"}");
    ask("PUBLISH tako:nodes {\"node\":\"a\",\"state\":\"odd\"}");
    WAIT(one.fb.broker.stats.link_malformed >= 3);
    WAIT(seen(&one) == 1);
}

static void a_topic_that_cannot_be_read_lets_its_members_in(void **state)
{
    (void)state;
    ask("SET " ENTRY " x");
    ask("SET " SEQS " x");
    enter(&one);
    WAIT(seen(&one) == 1);
    enter(&two);
    WAIT(seen(&two) == 2); /* by delta: only the store is broken */
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

static int make_redis(void **state)
{
    (void)state;
    scratch_redis_init(&redis);
    address = (struct tk_redis_address){.unix_path = redis.socket};
    return 0;
}

static int remove_redis(void **state)
{
    (void)state;
    scratch_redis_fini(&redis);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(entries_reach_the_others_and_redis),
        TEST(a_topic_that_redis_lost_is_written_again),
        TEST(many_entries_are_read_step_by_step),
        TEST(entries_of_a_dead_node_are_never_seen),
        TEST(c128_news_of_a_restart_remove_the_old_incarnation),
        TEST(c128_a_worker_ends_the_lease_of_its_predecessor),
        TEST(c178_changes_are_told_without_reading),
        TEST(c174_junk_is_ignored_and_counted),
        TEST(a_topic_that_cannot_be_read_lets_its_members_in),
    };
    return cmocka_run_group_tests_name("presence_store", tests, make_redis, remove_redis);
}
