/* SPDX-License-Identifier: MIT */
/*
 * A connection kept between publishes, with a circuit breaker in front: after a failure nothing is
 * tried for hold_off_ms, which doubles up to a limit while Redis stays away.
 *
 * A publish does not wait for its answer; the next one, or the end, looks for it. So a worker is
 * never asleep for the sake of an event, and at most one event is under way, a copy of which is
 * kept to be sent again when the connection turns out to have ended before it.
 */
#include "fcgi-api/user_events.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/envelope.h"
#include "common/tk_buf.h"
#include "common/tk_clock.h"
#include "common/tk_log.h"
#include "common/tk_redis.h"

#define TIMEOUT_MS      100
#define HOLD_OFF_MIN_MS 1000
#define HOLD_OFF_MAX_MS 30000

struct user_events {
    struct tk_redis_address address;
    redisContext *context;     /* NULL: not connected */
    struct tk_buf unconfirmed; /* sent and not yet answered; empty: none */
    int64_t closed_until_ms;
    int64_t hold_off_ms;
    uint64_t dropped; /* since the last success */
    struct tk_log_limit complaints;
};

enum tk_err user_events_new(const char *redis_url, struct user_events **events)
{
    struct tk_redis_address address;
    const char *why;
    enum tk_err err = tk_redis_url(redis_url, &address, &why);

    if (err) {
        tk_log_error("REDIS_URL: %s", why);
        return err;
    }
    *events = tk_xcalloc(1, sizeof(**events));
    (*events)->address = address;
    (*events)->hold_off_ms = HOLD_OFF_MIN_MS;
    return TK_OK;
}

static void disconnect(struct user_events *events)
{
    if (events->context != NULL)
        redisFree(events->context);
    events->context = NULL;
}

enum outcome { SENT, LOST_CONNECTION, GAVE_UP };

/* The answer to what is under way. Silence for TIMEOUT_MS is giving up, not worth another try. */
static enum outcome confirm(struct user_events *events)
{
    void *reply = NULL;

    if (events->context == NULL || events->unconfirmed.len == 0)
        return SENT;
    if (redisGetReply(events->context, &reply) != REDIS_OK) {
        bool is_silent = events->context->err == REDIS_ERR_IO &&
                         (errno == EAGAIN || errno == EWOULDBLOCK || errno == ETIMEDOUT);
        return is_silent ? GAVE_UP : LOST_CONNECTION;
    }
    bool ok = ((redisReply *)reply)->type == REDIS_REPLY_INTEGER;
    freeReplyObject(reply);
    if (!ok)
        return GAVE_UP;
    tk_buf_clear(&events->unconfirmed);
    events->hold_off_ms = HOLD_OFF_MIN_MS;
    return SENT;
}

void user_events_free(struct user_events *events)
{
    if (events == NULL)
        return;
    (void)confirm(events); /* closing earlier could take the event along */
    disconnect(events);
    tk_buf_fini(&events->unconfirmed);
    tk_redis_address_fini(&events->address);
    free(events);
}

static enum outcome send_event(struct user_events *events, struct tk_slice message)
{
    int is_done = 0;

    if (redisAppendCommand(events->context, "PUBLISH %s %b", TK_CHANNEL_USERS, message.ptr,
                           message.len) != REDIS_OK)
        return GAVE_UP;
    while (!is_done) {
        if (redisBufferWrite(events->context, &is_done) != REDIS_OK)
            return LOST_CONNECTION;
    }
    return SENT;
}

/* With what the last connection took along, if it did. */
static enum outcome connect_and_send(struct user_events *events, struct tk_slice message, char *why,
                                     size_t size)
{
    enum outcome outcome = SENT;

    disconnect(events);
    if (tk_redis_connect(&events->address, TIMEOUT_MS, &events->context, why, size)) {
        events->context = NULL;
        return GAVE_UP;
    }
    if (events->unconfirmed.len > 0)
        outcome = send_event(events, tk_buf_slice(&events->unconfirmed));
    if (outcome == SENT)
        outcome = confirm(events);
    return outcome == SENT ? send_event(events, message) : outcome;
}

static void on_failure(struct user_events *events, const char *why)
{
    int64_t now = tk_clock_ms();
    uint64_t suppressed;

    events->closed_until_ms = now + events->hold_off_ms;
    events->hold_off_ms *= 2;
    if (events->hold_off_ms > HOLD_OFF_MAX_MS)
        events->hold_off_ms = HOLD_OFF_MAX_MS;
    if (tk_log_allow(&events->complaints, (uint64_t)now, &suppressed))
        tk_log_warn("user event lost, brokers notice the change later: dropped=%" PRIu64 " %s",
                    events->dropped, why);
}

void user_events_publish(struct user_events *events, struct tk_slice message)
{
    enum outcome outcome = LOST_CONNECTION;
    char why[160] = "PUBLISH was refused or not answered";

    events->dropped++;
    if (tk_clock_ms() < events->closed_until_ms)
        return;
    if (events->context != NULL)
        outcome = confirm(events);
    if (outcome == SENT)
        outcome = send_event(events, message);
    if (outcome == LOST_CONNECTION) /* it has been idle, perhaps for long: a fresh one decides */
        outcome = connect_and_send(events, message, why, sizeof(why));
    tk_buf_clear(&events->unconfirmed);
    if (outcome != SENT) {
        disconnect(events);
        on_failure(events, why);
        return;
    }
    tk_buf_append_slice(&events->unconfirmed, message);
    events->dropped = 0;
}
