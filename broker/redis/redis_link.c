/* SPDX-License-Identifier: MIT */
/*
 * The link to Redis: a command connection and a subscribed connection that live and die together.
 * One timer serves all phases, because they exclude each other:
 *
 *   WAITING (backoff) -> CONNECTING (deadline) -> RESTORING (probes) -> UP (probes) -> WAITING
 *
 * A connection counts only when it has answered: PONG on the one, the probe channel's subscription
 * on the other. That subscription stays for good, so Redis never takes us out of subscribed mode.
 * From then on a probe goes out on the one connection at every tick and must come in on the other.
 */
#include "broker/redis/redis_link.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "broker/backoff.h"
#include "broker/reason.h"
#include "broker/redis/redis_pending.h"
#include "broker/redis/redis_subscriptions.h"
#include "broker/redis/redis_wire.h"
#include "common/envelope.h"
#include "common/tk_log.h"

#define DEFAULT_MAX_REPLY_BYTES (64U << 20)

enum link_state { LINK_WAITING, LINK_CONNECTING, LINK_RESTORING, LINK_UP, LINK_CLOSED };

struct redis_link {
    uv_loop_t *loop;
    struct redis_link_options options;
    const struct redis_link_events *events;
    void *arg;
    enum link_state state;
    uv_timer_t timer;
    struct backoff backoff;
    struct redis_wire *commands; /* both NULL while waiting */
    struct redis_wire *messages;
    bool commands_ready; /* Redis answered on it */
    bool messages_ready;
    struct redis_pending pending;
    struct redis_subscriptions subscriptions;
    char *probe_channel;
    uint64_t last_tick_ms;
    uint64_t up_since_ms;
    uint64_t silent_ms; /* since a probe came back, as far as our own loop was running */
    bool has_been_up;
    struct redis_link_stats stats;
    struct tk_log_limit connect_log;
    struct tk_log_limit refused_log;
};

static void start_connecting(struct redis_link *link);

/* Safe against callbacks that close the link, or try more commands (they are refused). */
static void fail_pending(struct redis_link *link)
{
    redis_reply_fn fn;
    void *arg;
    while (redis_pending_pop(&link->pending, &fn, &arg)) {
        if (fn)
            fn(arg, NULL);
    }
}

static void on_backoff_over(uv_timer_t *timer)
{
    start_connecting(timer->data);
}

static void close_wires(struct redis_link *link)
{
    redis_wire_close(link->commands);
    redis_wire_close(link->messages);
    link->commands = link->messages = NULL;
    link->commands_ready = link->messages_ready = false;
}

static void log_loss(struct redis_link *link, const char *why)
{
    uint64_t suppressed = 0;
    if (link->state == LINK_UP)
        tk_log_warn("redis lost reason=\"%s\"", REASON(why));
    else if (tk_log_allow(&link->connect_log, uv_now(link->loop), &suppressed))
        tk_log_warn("redis not reached reason=\"%s\" more=%" PRIu64, REASON(why), suppressed);
}

/* Gives both connections up and plans the next attempt. */
static void drop(struct redis_link *link, const char *why)
{
    bool was_up = link->state == LINK_UP;
    log_loss(link, why); /* why may belong to a wire */
    if (was_up && uv_now(link->loop) - link->up_since_ms >= BACKOFF_MAX_MS)
        backoff_reset(&link->backoff); /* one that falls at once keeps waiting longer */
    link->state = LINK_WAITING;
    close_wires(link);
    redis_subscriptions_restart(&link->subscriptions);
    uv_timer_start(&link->timer, on_backoff_over, backoff_next_ms(&link->backoff), 0);
    fail_pending(link);
    if (was_up && link->state != LINK_CLOSED)
        link->events->on_down(link->arg);
}

static void write_publish(struct tk_buf *out, struct tk_slice channel, struct tk_slice message)
{
    redis_wire_write_count(out, 3);
    redis_wire_write_arg(out, TK_SLICE("PUBLISH"));
    redis_wire_write_arg(out, channel);
    redis_wire_write_arg(out, message);
}

static void write_probe(struct redis_link *link)
{
    if (redis_pending_push(&link->pending, NULL, NULL))
        return; /* too many answers are due: silence will tell */
    write_publish(redis_wire_out(link->commands), tk_slice_str(link->probe_channel),
                  TK_SLICE("probe"));
}

/*
 * Adds up silence tick by tick, each counted as one interval at most: when our own process stood
 * still, or Redis sends faster than we read, the probe is late through no fault of Redis.
 */
static void on_probe_tick(uv_timer_t *timer)
{
    struct redis_link *link = timer->data;
    uint64_t now = uv_now(link->loop);
    uint64_t elapsed = now - link->last_tick_ms;
    uint64_t interval = (uint64_t)link->options.probe_interval_ms;
    link->last_tick_ms = now;
    if (!redis_wire_is_behind(link->messages))
        link->silent_ms += elapsed < interval ? elapsed : interval;
    if (link->silent_ms >= (uint64_t)link->options.probe_timeout_ms) {
        drop(link, "no answer to probes");
        return;
    }
    write_probe(link);
}

static void come_up(struct redis_link *link)
{
    link->state = LINK_UP;
    link->up_since_ms = uv_now(link->loop);
    tk_log_info("redis up channels=%zu", link->subscriptions.map.count);
    if (link->has_been_up)
        link->stats.reconnects++;
    link->has_been_up = true;
    link->events->on_up(link->arg);
}

static void check_restored(struct redis_link *link)
{
    if (link->state == LINK_RESTORING && redis_subscriptions_are_restored(&link->subscriptions))
        come_up(link);
}

static void check_ready(struct redis_link *link)
{
    if (!link->commands_ready || !link->messages_ready || link->state != LINK_CONNECTING)
        return;
    uint64_t interval = (uint64_t)link->options.probe_interval_ms;
    link->state = LINK_RESTORING;
    link->silent_ms = 0;
    link->last_tick_ms = uv_now(link->loop);
    uv_timer_start(&link->timer, on_probe_tick, interval, interval);
    redis_subscriptions_restart(&link->subscriptions);
    check_restored(link);
}

static void on_pong(void *arg, const redisReply *reply)
{
    struct redis_link *link = arg;
    if (reply == NULL)
        return;
    if (reply->type == REDIS_REPLY_ERROR) { /* it loads its data, or does not allow us this */
        drop(link, reply->str);
        return;
    }
    link->commands_ready = true;
    check_ready(link);
}

static void on_commands_open(void *arg, struct redis_wire *w)
{
    struct redis_link *link = arg;
    enum tk_err err = redis_pending_push(&link->pending, on_pong, link);
    tk_assert(err == TK_OK);
    redis_wire_write_count(redis_wire_out(w), 1);
    redis_wire_write_arg(redis_wire_out(w), TK_SLICE("PING"));
}

/* Redis refused something that nobody waits for: a publish, mostly. */
static void count_refusal(struct redis_link *link, const char *why)
{
    uint64_t suppressed;
    link->stats.dropped++;
    if (tk_log_allow(&link->refused_log, uv_now(link->loop), &suppressed))
        tk_log_warn("redis refused a command reason=\"%s\" more=%" PRIu64, REASON(why), suppressed);
}

static void on_commands_reply(void *arg, struct redis_wire *w, const redisReply *reply)
{
    struct redis_link *link = arg;
    redis_reply_fn fn;
    void *fn_arg;
    if (!redis_pending_pop(&link->pending, &fn, &fn_arg))
        drop(link, "reply to no command");
    else if (fn)
        fn(fn_arg, reply);
    else if (reply->type == REDIS_REPLY_ERROR)
        count_refusal(link, reply->str);
}

static void on_messages_open(void *arg, struct redis_wire *w)
{
    struct redis_link *link = arg;
    redis_wire_write_count(redis_wire_out(w), 2);
    redis_wire_write_arg(redis_wire_out(w), TK_SLICE("SUBSCRIBE"));
    redis_wire_write_arg(redis_wire_out(w), tk_slice_str(link->probe_channel));
}

static void on_message(struct redis_link *link, struct tk_slice channel, struct tk_slice message)
{
    if (tk_slice_eq_str(channel, link->probe_channel)) {
        link->silent_ms = 0;
        return;
    }
    link->stats.received++;
    link->events->on_message(link->arg, channel, message);
}

static void on_confirmed(struct redis_link *link, struct tk_slice channel)
{
    if (tk_slice_eq_str(channel, link->probe_channel)) {
        link->messages_ready = true;
        check_ready(link);
        return;
    }
    if (redis_subscriptions_confirm(&link->subscriptions, channel))
        link->events->on_subscribed(link->arg, channel);
    check_restored(link);
}

static struct tk_slice text_of(const redisReply *reply)
{
    return tk_slice(reply->str, reply->len);
}

/* Is this [kind, channel, message or count]? */
static bool is_push(const redisReply *reply)
{
    return reply->type == REDIS_REPLY_ARRAY && reply->elements == 3 &&
           reply->element[0]->type == REDIS_REPLY_STRING &&
           reply->element[1]->type == REDIS_REPLY_STRING;
}

static void on_messages_reply(void *arg, struct redis_wire *w, const redisReply *reply)
{
    struct redis_link *link = arg;
    if (reply->type == REDIS_REPLY_ERROR) { /* a subscription was refused: never go on without it */
        drop(link, reply->str);
        return;
    }
    if (!is_push(reply))
        return; /* not for us, whatever it is */
    struct tk_slice kind = text_of(reply->element[0]);
    struct tk_slice channel = text_of(reply->element[1]);
    if (tk_slice_eq_str(kind, "message") && reply->element[2]->type == REDIS_REPLY_STRING)
        on_message(link, channel, text_of(reply->element[2]));
    else if (tk_slice_eq_str(kind, "subscribe") || tk_slice_eq_str(kind, "unsubscribe"))
        on_confirmed(link, channel);
}

static void on_wire_lost(void *arg, struct redis_wire *w, const char *why)
{
    drop(arg, why);
}

static const struct redis_wire_events commands_events = {
    .on_open = on_commands_open,
    .on_reply = on_commands_reply,
    .on_lost = on_wire_lost,
};

static const struct redis_wire_events messages_events = {
    .on_open = on_messages_open,
    .on_reply = on_messages_reply,
    .on_lost = on_wire_lost,
};

static void on_connect_deadline(uv_timer_t *timer)
{
    drop(timer->data, "no answer within the connect timeout");
}

static struct redis_wire *open_wire(struct redis_link *link, const struct redis_wire_events *events,
                                    char *why, size_t size)
{
    return redis_wire_open(link->loop, link->options.address, link->options.max_reply_bytes, events,
                           link, why, size);
}

static void start_connecting(struct redis_link *link)
{
    char why[160] = "";
    link->state = LINK_CONNECTING;
    link->commands = open_wire(link, &commands_events, why, sizeof(why));
    if (link->commands)
        link->messages = open_wire(link, &messages_events, why, sizeof(why));
    if (link->messages)
        uv_timer_start(&link->timer, on_connect_deadline,
                       (uint64_t)link->options.connect_timeout_ms, 0);
    else
        drop(link, why);
}

struct redis_link *redis_link_open(uv_loop_t *loop, const struct redis_link_options *options,
                                   const struct redis_link_events *events, void *arg)
{
    struct redis_link *link = tk_xcalloc(1, sizeof(*link));
    link->loop = loop;
    link->options = *options;
    if (link->options.max_reply_bytes == 0)
        link->options.max_reply_bytes = DEFAULT_MAX_REPLY_BYTES;
    link->events = events;
    link->arg = arg;
    link->probe_channel = tk_xasprintf("%s%s", TK_CHANNEL_PROBE_PREFIX, options->node_id);
    redis_subscriptions_init(&link->subscriptions);
    uv_timer_init(loop, &link->timer);
    link->timer.data = link;
    start_connecting(link);
    return link;
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct redis_link *link = handle->data;
    redis_subscriptions_fini(&link->subscriptions);
    redis_pending_fini(&link->pending);
    free(link->probe_channel);
    free(link);
}

void redis_link_close(struct redis_link *link)
{
    if (link == NULL || link->state == LINK_CLOSED)
        return;
    if (link->commands)
        redis_wire_flush(link->commands);
    link->state = LINK_CLOSED;
    close_wires(link);
    uv_close((uv_handle_t *)&link->timer, on_timer_closed);
    fail_pending(link);
}

bool redis_link_is_up(const struct redis_link *link)
{
    return link->state == LINK_UP;
}

void redis_link_flush(struct redis_link *link)
{
    if (link->state != LINK_RESTORING && link->state != LINK_UP)
        return;
    redis_subscriptions_write(&link->subscriptions, redis_wire_out(link->messages));
    size_t unsent = redis_wire_unsent(link->commands);
    if (unsent > link->stats.peak_unsent)
        link->stats.peak_unsent = unsent;
    redis_wire_flush(link->messages);
    redis_wire_flush(link->commands);
}

/* May a command of at most size bytes be appended? A large one may when nothing is in its way. */
static enum tk_err check_room(const struct redis_link *link, size_t size)
{
    if (link->state != LINK_UP)
        return TK_EUNAVAIL;
    size_t unsent = redis_wire_unsent(link->commands);
    return unsent > 0 && unsent + size > link->options.max_pending_bytes ? TK_ELIMIT : TK_OK;
}

enum tk_err redis_link_publish(struct redis_link *link, struct tk_slice channel,
                               struct tk_slice message)
{
    size_t size = redis_wire_arg_size(channel.len) + redis_wire_arg_size(message.len);
    enum tk_err err = check_room(link, size);
    if (!err)
        err = redis_pending_push(&link->pending, NULL, NULL);
    if (err) {
        link->stats.dropped++;
        return err;
    }
    write_publish(redis_wire_out(link->commands), channel, message);
    link->stats.published++;
    return TK_OK;
}

enum tk_err redis_link_command(struct redis_link *link, redis_reply_fn fn, void *arg,
                               const struct tk_slice *words, size_t count)
{
    size_t size = 0;
    for (size_t i = 0; i < count; i++)
        size += redis_wire_arg_size(words[i].len);
    enum tk_err err = check_room(link, size);
    if (!err)
        err = redis_pending_push(&link->pending, fn, arg);
    if (err)
        return err;
    struct tk_buf *out = redis_wire_out(link->commands);
    redis_wire_write_count(out, count);
    for (size_t i = 0; i < count; i++)
        redis_wire_write_arg(out, words[i]);
    return TK_OK;
}

void redis_batch_command(struct redis_batch *batch, size_t words)
{
    redis_wire_write_count(&batch->wire, words);
    batch->commands++;
}

void redis_batch_word(struct redis_batch *batch, struct tk_slice word)
{
    redis_wire_write_arg(&batch->wire, word);
}

void redis_batch_clear(struct redis_batch *batch)
{
    tk_buf_clear(&batch->wire);
    batch->commands = 0;
}

void redis_batch_fini(struct redis_batch *batch)
{
    tk_buf_fini(&batch->wire);
}

static void write_word_command(struct tk_buf *out, struct tk_slice word)
{
    redis_wire_write_count(out, 1);
    redis_wire_write_arg(out, word);
}

/* MULTI and every command are answered, too ("QUEUED"), which nobody waits for. */
enum tk_err redis_link_transaction(struct redis_link *link, redis_reply_fn fn, void *arg,
                                   const struct redis_batch *batch)
{
    enum tk_err err = check_room(link, batch->wire.len);
    if (!err && !redis_pending_has_room(&link->pending, 2))
        err = TK_ELIMIT;
    for (uint32_t i = 0; !err && i < 1 + batch->commands; i++)
        err = redis_pending_push(&link->pending, NULL, NULL);
    if (!err)
        err = redis_pending_push(&link->pending, fn, arg);
    if (err)
        return err;
    struct tk_buf *out = redis_wire_out(link->commands);
    write_word_command(out, TK_SLICE("MULTI"));
    tk_buf_append_slice(out, tk_buf_slice(&batch->wire));
    write_word_command(out, TK_SLICE("EXEC"));
    return TK_OK;
}

void redis_link_subscribe(struct redis_link *link, struct tk_slice channel)
{
    redis_subscriptions_add(&link->subscriptions, channel);
}

void redis_link_unsubscribe(struct redis_link *link, struct tk_slice channel)
{
    redis_subscriptions_remove(&link->subscriptions, channel);
}

const struct redis_link_stats *redis_link_stats(const struct redis_link *link)
{
    return &link->stats;
}
