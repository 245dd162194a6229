/* SPDX-License-Identifier: MIT */
/*
 * The entry of this worker in Redis: written as a whole every third of its lease, so that a worker
 * that dies, hangs or loses Redis disappears by itself, and a Redis that lost everything knows
 * again.
 */
#include "broker/node.h"

#include <hiredis/hiredis.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "broker/broker.h"
#include "broker/reason.h"
#include "common/envelope.h"

void node_init(struct node *n, const char *broker_name, int worker)
{
    struct tk_uuid random;
    tk_uuid_random(&random);
    *n = (struct node){.worker = worker};
    snprintf(n->broker_name, sizeof(n->broker_name), "%s", broker_name);
    tk_uuid_short(&random, n->incarnation);
    snprintf(n->id, sizeof(n->id), "%s/%d@%s", n->broker_name, worker, n->incarnation);
}

static struct tk_slice node_key(const struct broker *b, char key[NODE_KEY_MAX])
{
    int len = snprintf(key, NODE_KEY_MAX, "%s%s", TK_KEY_NODE_PREFIX, b->node.id);
    return tk_slice(key, (size_t)len);
}

static void begin_on(struct broker *b, size_t words, const char *command, struct tk_slice key)
{
    redis_batch_command(&b->node.batch, words);
    redis_batch_word(&b->node.batch, tk_slice_str(command));
    redis_batch_word(&b->node.batch, key);
}

static void begin(struct broker *b, size_t words, const char *command)
{
    char key[NODE_KEY_MAX];
    begin_on(b, words, command, node_key(b, key));
}

static void add_text(struct broker *b, const char *name, const char *text)
{
    redis_batch_word(&b->node.batch, tk_slice_str(name));
    redis_batch_word(&b->node.batch, tk_slice_str(text));
}

static void add_number_word(struct broker *b, uint64_t number)
{
    char text[24];
    snprintf(text, sizeof(text), "%" PRIu64, number);
    redis_batch_word(&b->node.batch, tk_slice_str(text));
}

static void add_number(struct broker *b, const char *name, uint64_t number)
{
    redis_batch_word(&b->node.batch, tk_slice_str(name));
    add_number_word(b, number);
}

static void expire(struct broker *b, uint64_t ms)
{
    begin(b, 3, "PEXPIRE");
    add_number_word(b, ms);
}

/* The id without its incarnation. */
static struct tk_slice lasting_name(const struct broker *b)
{
    return tk_slice(b->node.id, strlen(b->node.id) - strlen(b->node.incarnation) - 1);
}

/* Says who bears the name at present, for the next one. */
static void take_name(struct broker *b, uint64_t lease_ms)
{
    begin_on(b, 4, "HSET", TK_SLICE(TK_KEY_NODE_NAMES));
    redis_batch_word(&b->node.batch, lasting_name(b));
    redis_batch_word(&b->node.batch, tk_slice_str(b->node.id));
    begin_on(b, 3, "PEXPIRE", TK_SLICE(TK_KEY_NODE_NAMES));
    add_number_word(b, lease_ms);
}

/* Best effort: while Redis is away the lease runs out, which is what it is for. */
static void send_batch(struct broker *b)
{
    enum tk_err err = redis_link_transaction(b->redis, NULL, NULL, &b->node.batch);
    redis_batch_clear(&b->node.batch);
    if (err && err != TK_EUNAVAIL)
        tk_log_warn("node entry not written error=\"%s\"", tk_strerror(err));
}

#define ENTRY_FIELDS 17

/* With its lease, in one transaction: an entry without a lease would stay for ever. */
static void write_entry(struct broker *b)
{
    uint64_t lease_ms = (uint64_t)b->settings->node_lease_ms;
    const struct user_directory_stats *lookups = user_directory_stats(b->directory);
    begin(b, 2 + 2 * ENTRY_FIELDS, "HSET");
    add_text(b, "broker", b->node.broker_name);
    add_number(b, "worker", (uint64_t)b->node.worker);
    add_number(b, "pid", (uint64_t)getpid());
    add_number(b, "port", (uint64_t)b->settings->port);
    add_text(b, "version", TAKO_VERSION);
    add_text(b, "incarnation", b->node.incarnation);
    add_text(b, "state", b->is_draining ? "draining" : "up");
    add_number(b, "connections", b->sessions.count);
    add_number(b, "topics", b->topics.map.count);
    add_number(b, "queue_peak", b->stats.queue_peak);
    add_number(b, "redis_peak", redis_link_stats(b->redis)->peak_unsent);
    add_number(b, "handshakes_peak", b->stats.handshakes_peak);
    add_number(b, "lookups_peak", lookups->peak_waiting);
    add_number(b, "statements", lookups->statements);
    add_number(b, "refused", b->stats.refused);
    add_number(b, "lease", lease_ms);
    add_number(b, "floor", b->presence.engine.floor);
    expire(b, lease_ms);
    take_name(b, lease_ms);
    send_batch(b);
}

static void publish_state(struct broker *b, const char *state, bool replaces)
{
    char message[NODE_ID_MAX + 64];
    int len = snprintf(message, sizeof(message), "{\"node\":\"%s\",\"state\":\"%s\"%s}", b->node.id,
                       state, replaces ? ",\"replaces\":true" : "");
    enum tk_err err = redis_link_publish(b->redis, tk_slice_str(TK_CHANNEL_NODES),
                                         tk_slice(message, (size_t)len));
    if (err && err != TK_EUNAVAIL)
        tk_log_warn("node state not published error=\"%s\"", tk_strerror(err));
}

static void send_command(struct broker *b, redis_reply_fn fn, const struct tk_slice *words,
                         size_t count)
{
    enum tk_err err = redis_link_command(b->redis, fn, b, words, count);
    if (err && err != TK_EUNAVAIL)
        tk_log_warn("node entry not looked after error=\"%s\"", tk_strerror(err));
}

/*
 * An entry that has gone although it was written: Redis has lost it, or we stood still for longer
 * than the lease and others have given us up. Either way our presences are written again, and only
 * then the entry, whose floor says so.
 */
static void on_looked(void *arg, const redisReply *reply)
{
    struct broker *b = arg;
    if (!b->node.is_running || !reply)
        return;
    if (reply->type != REDIS_REPLY_INTEGER) {
        tk_log_error("redis does not tell about the node's lease reason=\"%s\"",
                     REASON(reply->type == REDIS_REPLY_ERROR ? reply->str : "odd reply"));
        return;
    }
    if (reply->integer == 0)
        presence_on_lease_lost(&b->presence.engine);
    write_entry(b);
}

static void renew(uv_timer_t *timer)
{
    struct broker *b = timer->data;
    char key[NODE_KEY_MAX];
    const struct tk_slice words[] = {TK_SLICE("EXISTS"), node_key(b, key)};
    send_command(b, on_looked, words, TK_ARRAY_LEN(words));
}

void node_start(struct broker *b)
{
    uint64_t period = (uint64_t)b->settings->node_lease_ms / 3;
    uv_timer_init(b->loop, &b->node.timer);
    b->node.timer.data = b;
    uv_timer_start(&b->node.timer, renew, period, period);
    b->node.is_running = true;
}

/* It may be taking leave of its clients still, and goes by itself then. */
static void on_predecessor_state(void *arg, const redisReply *reply)
{
    struct broker *b = arg;
    if (!b->node.is_running || !reply || reply->type != REDIS_REPLY_STRING ||
        !tk_slice_eq_str(tk_slice(reply->str, reply->len), "up"))
        return;
    begin_on(b, 2, "DEL", tk_slice_str(b->node.predecessor));
    send_batch(b);
}

static bool is_predecessor(const struct broker *b, const redisReply *reply)
{
    struct tk_slice name = lasting_name(b);
    return reply && reply->type == REDIS_REPLY_STRING && reply->len > name.len &&
           reply->len < NODE_ID_MAX && memcmp(reply->str, name.ptr, name.len) == 0 &&
           reply->str[name.len] == '@' && strcmp(reply->str, b->node.id) != 0;
}

static void on_name(void *arg, const redisReply *reply)
{
    struct broker *b = arg;
    if (!b->node.is_running || !is_predecessor(b, reply))
        return;
    snprintf(b->node.predecessor, sizeof(b->node.predecessor), TK_KEY_NODE_PREFIX "%s", reply->str);
    const struct tk_slice words[] = {TK_SLICE("HGET"), tk_slice_str(b->node.predecessor),
                                     TK_SLICE("state")};
    send_command(b, on_predecessor_state, words, TK_ARRAY_LEN(words));
}

/* The lease of a worker that was killed would have others believe in it for a while. */
static void end_predecessor(struct broker *b)
{
    const struct tk_slice words[] = {TK_SLICE("HGET"), TK_SLICE(TK_KEY_NODE_NAMES),
                                     lasting_name(b)};
    send_command(b, on_name, words, TK_ARRAY_LEN(words));
}

/*
 * Whoever had our port before us is dead (C128), but not when we may share it: then it may be the
 * broker from which we take over.
 */
void node_announce(struct broker *b)
{
    if (!b->node.is_running || !redis_link_is_up(b->redis))
        return;
    bool replaces = !b->node.is_announced && !b->settings->share_port;
    b->node.is_announced = true;
    if (replaces)
        end_predecessor(b);
    write_entry(b);
    publish_state(b, b->is_draining ? "draining" : "up", replaces);
}

static void end_entry(struct broker *b, uint64_t linger_ms)
{
    if (linger_ms > 0)
        expire(b, linger_ms);
    else
        begin(b, 2, "DEL");
    send_batch(b);
}

void node_stop(struct broker *b, uint64_t linger_ms)
{
    if (b->node.is_running) {
        b->node.is_running = false;
        uv_close((uv_handle_t *)&b->node.timer, NULL);
        end_entry(b, linger_ms);
        publish_state(b, "gone", false);
    }
    redis_batch_fini(&b->node.batch);
}
