/* SPDX-License-Identifier: MIT */
/*
 * The entry of this worker in Redis: written as a whole every third of its lease, so that a worker
 * that dies, hangs or loses Redis disappears by itself, and a Redis that lost everything knows
 * again.
 */
#include "broker/node.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "broker/broker.h"
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

/* Best effort: while Redis is away the lease runs out, which is what it is for. */
static void command(struct broker *b, int argc, const char **argv)
{
    size_t lens[32];
    tk_assert(argc <= (int)TK_ARRAY_LEN(lens));
    for (int i = 0; i < argc; i++)
        lens[i] = strlen(argv[i]);
    enum tk_err err = redis_link_command(b->redis, NULL, NULL, argc, argv, lens);
    if (err && err != TK_EUNAVAIL)
        tk_log_warn("node entry not written error=\"%s\"", tk_strerror(err));
}

static void write_entry(struct broker *b, const char *key)
{
    const struct broker_settings *settings = b->settings;
    char worker[16], pid[16], port[16], connections[24], topics[24], lease[24];
    snprintf(worker, sizeof(worker), "%d", b->node.worker);
    snprintf(pid, sizeof(pid), "%d", (int)getpid());
    snprintf(port, sizeof(port), "%" PRId64, settings->port);
    snprintf(connections, sizeof(connections), "%zu", b->sessions.count);
    snprintf(topics, sizeof(topics), "%zu", b->topics.map.count);
    snprintf(lease, sizeof(lease), "%" PRId64, settings->node_lease_ms);
    const char *set[] = {
        "HSET",        key,
        "broker",      b->node.broker_name,
        "worker",      worker,
        "pid",         pid,
        "port",        port,
        "version",     TAKO_VERSION,
        "incarnation", b->node.incarnation,
        "state",       b->is_draining ? "draining" : "up",
        "connections", connections,
        "topics",      topics,
    };
    /* One transaction: an entry without a lease would stay for ever. */
    command(b, 1, (const char *[]){"MULTI"});
    command(b, TK_ARRAY_LEN(set), set);
    command(b, 3, (const char *[]){"PEXPIRE", key, lease});
    command(b, 1, (const char *[]){"EXEC"});
}

static void publish_state(struct broker *b, const char *state)
{
    char message[NODE_ID_MAX + 64];
    int len =
        snprintf(message, sizeof(message), "{\"node\":\"%s\",\"state\":\"%s\"}", b->node.id, state);
    enum tk_err err = redis_link_publish(b->redis, tk_slice_str(TK_CHANNEL_NODES),
                                         tk_slice(message, (size_t)len));
    if (err && err != TK_EUNAVAIL)
        tk_log_warn("node state not published error=\"%s\"", tk_strerror(err));
}

static char *node_key(const struct broker *b, char key[NODE_ID_MAX + 16])
{
    snprintf(key, NODE_ID_MAX + 16, "%s%s", TK_KEY_NODE_PREFIX, b->node.id);
    return key;
}

static void renew(uv_timer_t *timer)
{
    struct broker *b = timer->data;
    char key[NODE_ID_MAX + 16];
    if (redis_link_is_up(b->redis))
        write_entry(b, node_key(b, key));
}

void node_start(struct broker *b)
{
    uint64_t period = (uint64_t)b->settings->node_lease_ms / 3;
    uv_timer_init(b->loop, &b->node.timer);
    b->node.timer.data = b;
    uv_timer_start(&b->node.timer, renew, period, period);
    b->node.is_running = true;
}

void node_announce(struct broker *b)
{
    if (!b->node.is_running || !redis_link_is_up(b->redis))
        return;
    renew(&b->node.timer);
    publish_state(b, b->is_draining ? "draining" : "up");
}

void node_stop(struct broker *b)
{
    char key[NODE_ID_MAX + 16];
    if (!b->node.is_running)
        return;
    b->node.is_running = false;
    uv_close((uv_handle_t *)&b->node.timer, NULL);
    command(b, 2, (const char *[]){"DEL", node_key(b, key)});
    publish_state(b, "gone");
}
