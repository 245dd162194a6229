/* SPDX-License-Identifier: MIT */
/*
 * A worker puts the parts together on one libuv loop: listener, handshakes, sockets, Redis,
 * PostgreSQL and the broker between them. It starts in that order, and on SIGTERM ends in the
 * reverse: stop accepting, close the clients over the drain time (C81, C82), leave.
 */
#include "broker/worker.h"

#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/resource.h>

#include "broker/broker.h"
#include "broker/channels/channels.h"
#include "broker/connect/handshake.h"
#include "broker/connect/listener.h"
#include "broker/websocket/ws_transport.h"
#include "common/envelope.h"
#include "common/tk_log.h"
#include "common/tk_url.h"

#define REDIS_HEAD_START_MS 2000 /* to connect before the first client; then without it */
#define DRAIN_GRACE_MS      5000 /* after the last close frame */
#define MEMORY_CHECK_MS     5000
#define WORTH_GIVING_BACK   65536 /* small blocks that went may have kept whole pages */
#define DRAIN_PER_CLIENT_MS 1     /* few clients need not be spread over the whole drain time */

struct worker {
    struct broker broker;
    struct handshakes handshakes;
    struct listener listener;
    struct ws_transport *transport;
    struct tk_redis_address redis_address;
    char *conninfo;
    uv_loop_t loop;
    uv_signal_t sigterm;
    uv_timer_t ticker; /* drives the timer wheels */
    uv_timer_t presence_timer;
    uint64_t presence_due_ms; /* what the timer is set to; UINT64_MAX: nothing */
    uv_prepare_t prepare;
    uv_check_t check;
    uint64_t start_ms;
    uint64_t memory_check_ms; /* when it is next due */
    size_t unused_bytes;      /* of the heap; they were given back already, or never used */
    bool is_listening;
    int status; /* of the process */
    uint64_t drain_start_ms;
    uint64_t drain_spread_ms;
    size_t drain_total;
    size_t drain_closed;
};

/*
 * Clients are let in when Redis is there, so that the first ones miss nothing (C43), or when it is
 * plain that it is not coming.
 */
static void listen_when_ready(struct worker *w)
{
    bool is_ready =
        redis_link_is_up(w->broker.redis) || w->broker.now_ms - w->start_ms >= REDIS_HEAD_START_MS;
    if (w->is_listening || w->broker.is_draining || !is_ready)
        return;
    if (listener_start(&w->listener, &w->broker, &w->handshakes)) {
        w->status = EXIT_FAILURE;
        uv_stop(&w->loop);
        return;
    }
    w->is_listening = true;
    tk_log_info("serving port=%d node=%s", (int)w->broker.settings->port, w->broker.node.id);
}

static void on_redis_up(void *arg)
{
    struct worker *w = arg;
    listen_when_ready(w);
    user_directory_forget_all(w->broker.directory); /* events may have been missed */
    presence_on_link_up(&w->broker.presence.engine);
    node_announce(&w->broker); /* behind the presences that its floor tells of */
}

static void on_redis_down(void *arg)
{
    struct worker *w = arg;
    presence_on_link_down(&w->broker.presence.engine);
    pubsub_on_down(&w->broker);
}

static void on_redis_message(void *arg, struct tk_slice channel, struct tk_slice message)
{
    struct worker *w = arg;
    pubsub_on_message(&w->broker, channel, message);
}

static void on_redis_subscribed(void *arg, struct tk_slice channel)
{
    struct worker *w = arg;
    pubsub_on_subscribed(&w->broker, channel);
}

static enum tk_err open_redis(struct worker *w)
{
    static const struct redis_link_events events = {
        .on_up = on_redis_up,
        .on_down = on_redis_down,
        .on_message = on_redis_message,
        .on_subscribed = on_redis_subscribed,
    };
    const char *why;
    if (tk_redis_url(w->broker.settings->redis_url, &w->redis_address, &why)) {
        tk_log_error("REDIS_URL: %s", why);
        return TK_EINVAL;
    }
    const struct redis_link_options options = {
        .address = &w->redis_address,
        .node_id = w->broker.node.id,
        .connect_timeout_ms = 2000,
        .probe_interval_ms = 1000,
        .probe_timeout_ms = 3000,
        .max_pending_bytes = 64U << 20,
    };
    w->broker.redis = redis_link_open(&w->loop, &options, &events, w);
    redis_link_subscribe(w->broker.redis, tk_slice_str(TK_CHANNEL_USERS));
    redis_link_subscribe(w->broker.redis, tk_slice_str(TK_CHANNEL_NODES));
    return TK_OK;
}

static enum tk_err open_directory(struct worker *w)
{
    const struct broker_settings *settings = w->broker.settings;
    const char *why;
    if (tk_database_url(settings->database_url ? settings->database_url : "postgresql:///",
                        &w->conninfo, &why)) {
        tk_log_error("DATABASE_URL: %s", why);
        return TK_EINVAL;
    }
    const struct user_directory_options options = {
        .conninfo = w->conninfo,
        .connections = 2,
        .lookup_timeout_ms = (int)settings->user_lookup_timeout_ms,
        .cache_size = (size_t)settings->user_cache_size,
        .cache_ms = (int)settings->user_cache_ms,
        .unknown_cache_ms = (int)settings->unknown_user_cache_ms,
        .max_waiting = 100000,
    };
    w->broker.directory = user_directory_open(&w->loop, &options);
    return TK_OK;
}

/* lws' tables, and the cost of every close in it, grow with the limit (TAKO_TRANSPORT): no larger
 * than needed. */
static void limit_open_files(struct broker_settings *settings)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit))
        return;
    if ((rlim_t)settings->max_connections + WORKER_SPARE_FILES > limit.rlim_max) {
        settings->max_connections = (int64_t)limit.rlim_max - WORKER_SPARE_FILES;
        tk_log_info("clients per worker limited by open files max_connections=%lld",
                    (long long)settings->max_connections);
    }
    limit.rlim_cur = (rlim_t)settings->max_connections + WORKER_SPARE_FILES;
    if (setrlimit(RLIMIT_NOFILE, &limit))
        tk_log_warn("cannot set the limit of open files");
}

/* A random order, because clients come back after 10 ms (C82, C166). */
static void shuffle_sessions(struct session_list *list)
{
    size_t n = 0;
    struct session **all = tk_xcalloc(list->count + 1, sizeof(struct session *));
    for (struct session *s = list->first; s; s = s->next)
        all[n++] = s;
    for (size_t i = n; i > 1; i--) {
        uint32_t random = 0;
        if (getrandom(&random, sizeof(random), 0) != sizeof(random))
            break;
        struct session *swap = all[i - 1];
        all[i - 1] = all[random % i];
        all[random % i] = swap;
    }
    for (size_t i = 0; i < n; i++) {
        all[i]->prev = i > 0 ? all[i - 1] : NULL;
        all[i]->next = i + 1 < n ? all[i + 1] : NULL;
    }
    list->first = n > 0 ? all[0] : NULL;
    free(all);
}

static void start_drain(struct worker *w)
{
    struct broker *b = &w->broker;
    if (b->is_draining)
        return;
    b->is_draining = true;
    tk_log_info("draining clients=%zu", b->sessions.count);
    if (w->is_listening)
        listener_stop(&w->listener);
    handshakes_drain(&w->handshakes);
    node_announce(b);
    shuffle_sessions(&b->sessions);
    w->drain_start_ms = b->now_ms;
    w->drain_total = b->sessions.count;
    uint64_t gentle = w->drain_total * DRAIN_PER_CLIENT_MS;
    uint64_t limit = (uint64_t)b->settings->drain_ms;
    w->drain_spread_ms = gentle < limit ? gentle : limit;
}

static void close_share_of_clients(struct worker *w)
{
    uint64_t elapsed = w->broker.now_ms - w->drain_start_ms + TIMER_WHEEL_TICK_MS;
    size_t due = elapsed >= w->drain_spread_ms
                     ? SIZE_MAX
                     : (size_t)(w->drain_total * elapsed / w->drain_spread_ms);
    struct session *next;
    for (struct session *s = w->broker.sessions.first; s && w->drain_closed < due; s = next) {
        next = s->next;
        if (s->state != SESSION_OPEN)
            continue;
        session_close(s, CLOSE_SERVICE_RESTART, "restarting");
        w->drain_closed++;
    }
}

static void continue_drain(struct worker *w)
{
    uint64_t elapsed = w->broker.now_ms - w->drain_start_ms;
    close_share_of_clients(w);
    bool is_empty = w->broker.sessions.count == 0 && w->handshakes.count == 0;
    if (is_empty || elapsed > w->drain_spread_ms + DRAIN_GRACE_MS)
        uv_stop(&w->loop);
}

static void on_sigterm(uv_signal_t *signal, int number)
{
    (void)number;
    start_drain(signal->data);
}

/*
 * A crowd that has left: malloc by itself gives back only what lies at the end of its heap, and
 * there somebody always is.
 */
static void give_back_memory(struct worker *w)
{
    if (w->broker.now_ms < w->memory_check_ms)
        return;
    w->memory_check_ms = w->broker.now_ms + MEMORY_CHECK_MS;
    user_directory_expire(w->broker.directory);
    size_t unused = mallinfo2().fordblks;
    if (unused > w->unused_bytes + WORTH_GIVING_BACK)
        malloc_trim(0);
    else if (unused >= w->unused_bytes)
        return;
    w->unused_bytes = unused;
}

static void on_tick(uv_timer_t *timer)
{
    struct worker *w = timer->data;
    w->broker.now_ms = uv_now(&w->loop);
    timer_wheel_advance(&w->broker.wheel, w->broker.now_ms);
    timer_wheel_advance(&w->handshakes.wheel, w->broker.now_ms);
    presence_store_tick(&w->broker, w->broker.now_ms);
    pubsub_check_joins(&w->broker);
    give_back_memory(w);
    if (w->broker.is_draining)
        continue_drain(w);
    else if (w->is_listening)
        listener_check_room(&w->listener);
    else
        listen_when_ready(w);
}

static void on_presence_due(uv_timer_t *timer)
{
    struct worker *w = timer->data;
    w->presence_due_ms = UINT64_MAX;
    presence_store_tick(&w->broker, uv_now(&w->loop));
}

/* Batches are due between two ticks, too. */
static void arm_presence_timer(struct worker *w)
{
    uint64_t now = uv_now(&w->loop), due = presence_next_ms(&w->broker.presence.engine);
    if (due == w->presence_due_ms)
        return;
    w->presence_due_ms = due;
    if (due == UINT64_MAX)
        uv_timer_stop(&w->presence_timer);
    else
        uv_timer_start(&w->presence_timer, on_presence_due, due > now ? due - now : 0, 0);
}

/* Before and after the loop polls, so that nothing marked during a turn waits for the next event.
 */
static void on_prepare(uv_prepare_t *prepare)
{
    struct worker *w = prepare->data;
    broker_end_turn(&w->broker);
    arm_presence_timer(w);
}

static void on_check(uv_check_t *check)
{
    broker_end_turn(check->data);
}

static void start_loop_handles(struct worker *w)
{
    uv_signal_init(&w->loop, &w->sigterm);
    w->sigterm.data = w;
    uv_signal_start(&w->sigterm, on_sigterm, SIGTERM);
    uv_timer_init(&w->loop, &w->ticker);
    w->ticker.data = w;
    uv_timer_start(&w->ticker, on_tick, TIMER_WHEEL_TICK_MS, TIMER_WHEEL_TICK_MS);
    uv_timer_init(&w->loop, &w->presence_timer);
    w->presence_timer.data = w;
    w->presence_due_ms = UINT64_MAX;
    uv_prepare_init(&w->loop, &w->prepare);
    w->prepare.data = w;
    uv_prepare_start(&w->prepare, on_prepare);
    uv_check_init(&w->loop, &w->check);
    w->check.data = &w->broker;
    uv_check_start(&w->check, on_check);
}

static enum tk_err start(struct worker *w)
{
    enum tk_err err = open_redis(w);
    if (!err)
        err = open_directory(w);
    if (err)
        return err;
    w->transport = ws_transport_open(&w->broker);
    if (!w->transport)
        return TK_EIO;
    handshakes_init(&w->handshakes, &w->broker, w->transport);
    node_start(&w->broker);
    start_loop_handles(w);
    w->start_ms = w->broker.now_ms;
    return TK_OK;
}

/* Clients that outlived the drain are dropped; the process exit closes what else is open. */
static void finish(struct worker *w)
{
    struct broker *b = &w->broker;
    if (b->sessions.count > 0)
        tk_log_warn("drain time is over clients_left=%zu", b->sessions.count);
    handshakes_abort(&w->handshakes);
    struct session *next;
    for (struct session *s = b->sessions.first; s; s = next) {
        next = s->next;
        s->ops->kill(s->transport);
    }
    broker_end_turn(b);
    size_t kept = presence_drain(&b->presence.engine);
    node_stop(b, kept > 0 ? (uint64_t)b->settings->presence_linger_ms : 0);
    redis_link_flush(b->redis);
    redis_link_close(b->redis);
    b->redis = NULL;
    user_directory_close(b->directory);
    b->directory = NULL;
    uv_close((uv_handle_t *)&w->sigterm, NULL);
    uv_close((uv_handle_t *)&w->ticker, NULL);
    uv_close((uv_handle_t *)&w->presence_timer, NULL);
    uv_close((uv_handle_t *)&w->prepare, NULL);
    uv_close((uv_handle_t *)&w->check, NULL);
    ws_transport_close(w->transport);
    broker_fini(b);
    if (uv_loop_close(&w->loop))
        tk_log_debug("loop closed with handles left");
}

int worker_run(const struct broker_settings *settings, const char *broker_name, int index)
{
    struct broker_settings own = *settings;
    struct worker *w = tk_xcalloc(1, sizeof(*w));
    int status = EXIT_FAILURE;
    limit_open_files(&own);
    if (uv_loop_init(&w->loop)) {
        tk_log_error("libuv did not start");
    } else {
        broker_init(&w->broker, &w->loop, &own, user_socket_channels);
        node_init(&w->broker.node, broker_name, index);
        if (start(w) == TK_OK) {
            uv_run(&w->loop, UV_RUN_DEFAULT);
            finish(w);
            tk_log_info("stopped");
            status = w->status;
        }
    }
    tk_redis_address_fini(&w->redis_address);
    free(w->conninfo);
    free(w);
    return status;
}
