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
#include "common/envelope.h"

#define NODE_KEY_MAX (NODE_ID_MAX + 16)

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

static void begin(struct broker *b, size_t words, const char *command)
{
    char key[NODE_KEY_MAX];
    redis_batch_command(&b->node.batch, words);
    redis_batch_word(&b->node.batch, tk_slice_str(command));
    redis_batch_word(&b->node.batch, node_key(b, key));
}

static void add_text(struct broker *b, const char *name, const char *text)
{
    redis_batch_word(&b->node.batch, tk_slice_str(name));
    redis_batch_word(&b->node.batch, tk_slice_str(text));
}

static void add_number(struct broker *b, const char *name, uint64_t number)
{
    char text[24];
    snprintf(text, sizeof(text), "%" PRIu64, number);
    add_text(b, name, text);
}

static void expire(struct broker *b, uint64_t ms)
{
    char text[24];
    snprintf(text, sizeof(text), "%" PRIu64, ms);
    begin(b, 3, "PEXPIRE");
    redis_batch_word(&b->node.batch, tk_slice_str(text));
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

/*
 * An entry that has gone although it was written: Redis has lost it, or we stood still for longer
 * than the lease and others have given us up. Either way our presences are written again, and only
 * then the entry, whose floor says so.
 */
static void on_looked(void *arg, const redisReply *reply)
{
    struct broker *b = arg;
    if (!b->node.is_running || !reply || reply->type != REDIS_REPLY_INTEGER)
        return;
    if (reply->integer == 0)
        presence_on_lease_lost(&b->presence.engine);
    write_entry(b);
}

static void renew(uv_timer_t *timer)
{
    struct broker *b = timer->data;
    char key[NODE_KEY_MAX];
    const char *words[] = {"EXISTS", key};
    const size_t lens[] = {strlen(words[0]), node_key(b, key).len};
    enum tk_err err = redis_link_command(b->redis, on_looked, b, 2, words, lens);
    if (err && err != TK_EUNAVAIL)
        tk_log_warn("node entry not renewed error=\"%s\"", tk_strerror(err));
}

void node_start(struct broker *b)
{
    uint64_t period = (uint64_t)b->settings->node_lease_ms / 3;
    uv_timer_init(b->loop, &b->node.timer);
    b->node.timer.data = b;
    uv_timer_start(&b->node.timer, renew, period, period);
    b->node.is_running = true;
}

/*
 * Whoever had our port before us is dead (C128), but not when we may share it: then it may be the
 * broker from which we take over.
 */
void node_announce(struct broker *b)
{
    if (!b->node.is_running || !redis_link_is_up(b->redis))
        return;
    bool is_first = !b->node.is_announced;
    b->node.is_announced = true;
    write_entry(b);
    publish_state(b, b->is_draining ? "draining" : "up", is_first && !b->settings->share_port);
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
