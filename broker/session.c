/* SPDX-License-Identifier: MIT */
/*
 * A session is on broker->sessions from open until it is freed. Sending and closing only mark;
 * sessions_end_turn does the work, so that no walk over members or users meets a vanished session.
 * Not here: what messages mean (phx_socket) and how bytes travel (transport).
 */
#include "broker/session.h"

#include <inttypes.h>
#include <stdlib.h>

#include "broker/broker.h"
#include "broker/channel.h"
#include "broker/phoenix/phx_socket.h"
#include "common/tk_log.h"

#define CLOSE_GRACE_MS 3000 /* for the client's close frame */
#define BURST_S        10   /* what a client may save up of its messages per second */
#define PREFETCH_AHEAD 2    /* sessions; the writes between take microseconds */

/* For log lines: who it is, as far as a log may know. */
#define SESSION_WHO(s) tk_uuid_short(&(s)->user->id, (char[9]){0})

/*
 * How long a client is silent before it is asked whether it is there (C175: the timers of
 * background tabs stand still, while the browser answers pings by itself). Beyond the 30 s of
 * phoenix.js' heartbeats, so that it costs nothing for those who send them.
 */
static int64_t ping_after_ms(const struct broker *b)
{
    return b->settings->idle_timeout_ms / 4 * 3;
}

struct session *session_open(struct broker *b, enum phx_vsn vsn, const struct tk_uuid *user,
                             const char *nickname, const struct transport_ops *ops,
                             struct transport *transport)
{
    struct session *s = tk_xcalloc(1, sizeof(*s));
    s->broker = b;
    s->vsn = vsn;
    s->ops = ops;
    s->transport = transport;
    s->last_life_ms = b->now_ms;
    s->next = b->sessions.first;
    if (s->next)
        s->next->prev = s;
    b->sessions.first = s;
    b->sessions.count++;
    online_users_add(&b->users, s, user, nickname);
    timer_set(&b->wheel, &s->timer, (uint64_t)ping_after_ms(b));
    b->stats.connects++;
    tk_log_debug("open user=%s vsn=%d", SESSION_WHO(s), vsn == PHX_V1 ? 1 : 2);
    return s;
}

static void mark_dirty(struct session *s)
{
    struct session_list *list = &s->broker->sessions;
    if (s->is_dirty)
        return;
    s->is_dirty = true;
    if (list->dirty_count == list->dirty_cap) {
        list->dirty_cap = list->dirty_cap > 0 ? list->dirty_cap * 2 : 64;
        list->dirty = tk_xrealloc(list->dirty, list->dirty_cap * sizeof(struct session *));
    }
    list->dirty[list->dirty_count++] = s;
}

/* What could not be queued for it, it would never see: better that it comes back (C122, C169). */
static void on_queued(struct session *s, enum tk_err err)
{
    if (!err) {
        mark_dirty(s);
        return;
    }
    s->broker->stats.too_slow++;
    tk_log_info("too slow user=%s queued_bytes=%" PRIu32, SESSION_WHO(s), s->out.bytes);
    session_close_later(s, CLOSE_GOING_AWAY);
}

void session_send(struct session *s, struct frame *frame)
{
    if (s->state == SESSION_OPEN && !s->is_doomed)
        on_queued(s, out_queue_push(&s->out, frame, (size_t)s->broker->settings->max_queued_bytes));
}

void session_send_group(struct session *s, struct frame *const *frames, size_t count)
{
    if (s->state == SESSION_OPEN && !s->is_doomed)
        on_queued(s, out_queue_push_group(&s->out, frames, count,
                                          (size_t)s->broker->settings->max_queued_bytes));
}

void session_send_take(struct session *s, struct frame *frame)
{
    if (!frame)
        return;
    session_send(s, frame);
    frame_unref(frame);
}

void session_close_later(struct session *s, enum close_code code)
{
    if (s->state != SESSION_OPEN || s->is_doomed)
        return;
    s->is_doomed = true;
    s->doom_code = code;
    s->next_doomed = s->broker->sessions.doomed;
    s->broker->sessions.doomed = s;
}

static void drop_partial(struct session *s)
{
    if (!s->partial)
        return;
    tk_buf_fini(s->partial);
    free(s->partial);
    s->partial = NULL;
}

/* Writes what waits until the transport holds some of it back. False: the connection broke. */
static bool flush(struct session *s)
{
    struct broker *b = s->broker;
    if (s->out.bytes > b->stats.queue_peak)
        b->stats.queue_peak = s->out.bytes;
    while (s->transport && !out_queue_is_empty(&s->out) && !s->ops->is_blocked(s->transport)) {
        struct frame *holder;
        struct tk_slice bytes = out_queue_take(&s->out, b->joined, sizeof(b->joined), &holder);
        bool ok = s->ops->write(s->transport, bytes);
        frame_unref(holder);
        if (!ok)
            return false;
    }
    return true;
}

static void write_close(struct session *s, uint16_t code, const char *reason)
{
    char payload[2 + 64];
    size_t reason_len = reason ? strlen(reason) : 0;
    tk_assert(reason_len <= sizeof(payload) - 2);
    payload[0] = (char)(code >> 8);
    payload[1] = (char)(code & 0xff);
    memcpy(payload + 2, reason ? reason : "", reason_len);
    struct frame *frame = frame_new(WS_CLOSE, tk_slice(payload, 2 + reason_len));
    s->ops->write_close(s->transport, tk_slice((const char *)frame->bytes, frame->len));
    frame_unref(frame);
}

void session_close(struct session *s, enum close_code code, const char *reason)
{
    if (s->state != SESSION_OPEN)
        return;
    bool is_slow = s->transport && s->ops->is_blocked(s->transport);
    phx_socket_end_all(s);
    drop_partial(s);
    if (is_slow || !flush(s))
        out_queue_fini(&s->out); /* they would not be read in time; only whole frames were sent */
    s->state = SESSION_CLOSING;

    write_close(s, (uint16_t)code, reason);
    timer_set(&s->broker->wheel, &s->timer, CLOSE_GRACE_MS);
    tk_log_debug("close user=%s code=%d", SESSION_WHO(s), (int)code);
}

/* False: the client says more than it may, and is closed (C185). */
static bool may_speak(struct session *s)
{
    struct broker *b = s->broker;
    int64_t per_s = b->settings->messages_per_s;
    if (rate_limit_take(&s->messages, b->now_ms, per_s, per_s * BURST_S))
        return true;
    b->stats.too_many_messages++;
    tk_log_info("too many messages user=%s", SESSION_WHO(s));
    session_close(s, CLOSE_POLICY, "too many messages");
    return false;
}

static void handle_message(struct session *s, bool is_binary, struct tk_slice bytes)
{
    struct broker *b = s->broker;
    struct phx_msg msg;
    if (!may_speak(s))
        return;
    b->stats.messages_in++;
    if (phx_decode(s->vsn, is_binary, bytes, &b->decode_scratch, &msg)) {
        b->stats.malformed++;
        tk_log_info("malformed message user=%s bytes=%zu binary=%d", SESSION_WHO(s), bytes.len,
                    is_binary);
        if (is_binary || tk_utf8_valid(bytes))
            session_close(s, CLOSE_INTERNAL, "malformed message");
        else
            session_close(s, CLOSE_BAD_UTF8, "text is not UTF-8"); /* C22 */
        return;
    }
    phx_socket_handle(s, &msg, is_binary, bytes);
}

void session_on_life(struct session *s)
{
    s->last_life_ms = s->broker->now_ms;
}

void session_on_ping(struct session *s, struct tk_slice payload)
{
    if (s->state == SESSION_OPEN && may_speak(s))
        session_send_take(s, frame_new(WS_PONG, payload));
}

void session_on_data(struct session *s, const struct session_data *data)
{
    if (s->state != SESSION_OPEN)
        return;
    size_t held = s->partial ? s->partial->len : 0;
    if (held + data->bytes.len + data->remaining > (size_t)s->broker->settings->max_message_bytes) {
        session_close(s, CLOSE_TOO_BIG, "message too big");
        return;
    }
    if (data->is_first && data->is_final) {
        handle_message(s, data->is_binary, data->bytes);
        return;
    }
    if (!s->partial)
        s->partial = tk_xcalloc(1, sizeof(*s->partial));
    if (data->is_first)
        tk_buf_clear(s->partial);
    tk_buf_append_slice(s->partial, data->bytes);
    if (!data->is_final)
        return;
    struct tk_buf *whole = s->partial;
    s->partial = NULL;
    handle_message(s, data->is_binary, tk_buf_slice(whole));
    tk_buf_fini(whole);
    free(whole);
}

void session_on_writable(struct session *s)
{
    mark_dirty(s);
}

void session_on_peer_close(struct session *s, uint16_t code)
{
    if (s->state != SESSION_OPEN)
        return;
    phx_socket_end_all(s);
    (void)flush(s); /* answers to earlier frames go out first; a failure shows as the close it is */
    s->state = SESSION_CLOSING;
    write_close(s, code, NULL);
    timer_set(&s->broker->wheel, &s->timer, CLOSE_GRACE_MS);
}

void session_on_closed(struct session *s)
{
    if (s->state == SESSION_CLOSED)
        return;
    struct broker *b = s->broker;
    tk_log_debug("closed user=%s", SESSION_WHO(s));
    phx_socket_end_all(s);
    s->state = SESSION_CLOSED;
    s->transport = NULL;
    timer_clear(&b->wheel, &s->timer);
    out_queue_fini(&s->out);
    drop_partial(s);
    online_users_remove(&b->users, s);
    address_limit_give_back(&b->addresses, s->address);
    if (s->prev)
        s->prev->next = s->next;
    else
        b->sessions.first = s->next;
    if (s->next)
        s->next->prev = s->prev;
    b->sessions.count--;
    s->next = b->sessions.dead;
    b->sessions.dead = s;
}

void session_on_timer(struct session *s)
{
    struct broker *b = s->broker;
    if (s->state == SESSION_CLOSING) {
        s->ops->kill(s->transport);
        return;
    }
    int64_t limit = b->settings->idle_timeout_ms;
    int64_t silent = (int64_t)(b->now_ms - s->last_life_ms);
    if (silent >= limit) {
        tk_log_debug("idle user=%s", SESSION_WHO(s));
        session_close(s, CLOSE_GOING_AWAY, "idle");
    } else if (silent >= ping_after_ms(b)) {
        session_send_take(s, frame_new(WS_PING, TK_SLICE("")));
        timer_set(&b->wheel, &s->timer, (uint64_t)(limit - silent));
    } else {
        timer_set(&b->wheel, &s->timer, (uint64_t)(ping_after_ms(b) - silent));
    }
}

static void flush_dirty(struct broker *b)
{
    struct session_list *list = &b->sessions;
    for (size_t i = 0; i < list->dirty_count; i++) {
        if (i + PREFETCH_AHEAD < list->dirty_count)
            session_prefetch(list->dirty[i + PREFETCH_AHEAD]);
        struct session *s = list->dirty[i];
        s->is_dirty = false;
        if (s->transport && !flush(s))
            s->ops->kill(s->transport);
    }
    list->dirty_count = 0;
}

static void close_doomed(struct broker *b)
{
    while (b->sessions.doomed) {
        struct session *s = b->sessions.doomed;
        b->sessions.doomed = s->next_doomed;
        session_close(s, s->doom_code, NULL);
    }
}

/* The dead are unlinked from everything but possibly these two lists: those are empty by now. */
static void free_dead(struct broker *b)
{
    while (b->sessions.dead) {
        struct session *s = b->sessions.dead;
        b->sessions.dead = s->next;
        free(s);
    }
}

void sessions_fini(struct session_list *list)
{
    tk_assert(list->count == 0 && list->dirty_count == 0);
    free(list->dirty);
}

void sessions_end_turn(struct broker *b)
{
    do {
        close_doomed(b);
        flush_dirty(b);
    } while (b->sessions.doomed || b->sessions.dirty_count > 0);
    free_dead(b);
}
