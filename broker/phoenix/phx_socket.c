/* SPDX-License-Identifier: MIT */
/*
 * The state table of a connection (C41-C63). A topic is absent (no channel), joining or joined;
 * everything that a client can say is decided here or handed to the channel.
 */
#include "broker/phoenix/phx_socket.h"

#include <inttypes.h>

#include "broker/broker.h"
#include "broker/channel.h"
#include "common/tk_log.h"

#define JOIN_BURST_S 10

static const struct phx_ref no_ref;
static const struct phx_payload empty_object = {.type = TK_JSON_OBJECT,
                                                .bytes = TK_SLICE_INIT("{}")};

struct channel *phx_socket_find(const struct session *s, struct tk_slice topic)
{
    for (struct channel *ch = s->channels; ch; ch = ch->next)
        if (tk_slice_eq(topic_name(ch->topic), topic))
            return ch;
    return NULL;
}

void phx_socket_end_all(struct session *s)
{
    while (s->channels)
        channel_end(s->channels, CHANNEL_DISCONNECTED);
}

static void reply(struct session *s, struct phx_ref join_ref, const struct phx_msg *msg,
                  const char *status, const struct phx_payload *response)
{
    struct phx_topic topic = {.bytes = msg->topic, .is_json = !msg->topic_is_string};
    session_send_take(s, phx_encode_reply(s->vsn, &s->broker->encode_scratch, join_ref, msg->ref,
                                          topic, tk_slice_str(status), response));
}

static void reply_error(struct session *s, struct phx_ref join_ref, const struct phx_msg *msg,
                        struct tk_slice reason_object)
{
    struct phx_payload response = channel_object(reason_object);
    reply(s, join_ref, msg, "error", &response);
}

static void reply_unmatched(struct session *s, const struct phx_msg *msg)
{
    reply_error(s, no_ref, msg, TK_SLICE("{\"reason\":\"unmatched topic\"}"));
}

/* All channels at once are fine, as when a client comes back, and then so many a second (C185). */
static bool may_join(struct session *s)
{
    struct broker *b = s->broker;
    int64_t per_s = b->settings->joins_per_s;
    if (rate_limit_take(&s->joins, b->now_ms, per_s,
                        b->settings->max_channels + per_s * JOIN_BURST_S))
        return true;
    b->stats.too_many_joins++;
    return false;
}

static void join(struct session *s, const struct phx_msg *msg)
{
    const struct broker_settings *settings = s->broker->settings;
    const struct channel_module *module =
        msg->topic_is_string ? channel_module_for(s->broker->channels, msg->topic) : NULL;
    if (!module)
        reply_unmatched(s, msg);
    else if (msg->topic.len > (size_t)settings->max_topic_bytes)
        reply_error(s, msg->join_ref, msg, TK_SLICE("{\"reason\":\"topic too long\"}"));
    else if (!may_join(s))
        reply_error(s, msg->join_ref, msg, TK_SLICE("{\"reason\":\"too many joins\"}"));
    else if (s->channel_count >= settings->max_channels)
        reply_error(s, msg->join_ref, msg, TK_SLICE("{\"reason\":\"too many channels joined\"}"));
    else
        channel_open(s, module, msg);
}

static void handle_absent(struct session *s, const struct phx_msg *msg)
{
    if (tk_slice_eq_str(msg->event, "phx_join"))
        join(s, msg);
    else if (tk_slice_eq_str(msg->event, "phx_leave"))
        reply(s, msg->join_ref, msg, "ok", &empty_object);
    else
        reply_unmatched(s, msg);
}

/* C55: a null on either side matches. */
static bool is_stale(const struct channel *ch, const struct phx_msg *msg)
{
    struct phx_ref mine = channel_join_ref(ch);
    return !phx_ref_is_null(msg->join_ref) && !phx_ref_is_null(mine) &&
           !phx_ref_eq(msg->join_ref, mine);
}

static void handle_joined(struct session *s, struct channel *ch, const struct phx_msg *msg)
{
    if (tk_slice_eq_str(msg->event, "phx_join")) {
        channel_close(ch); /* the old one ends first (C50) */
        join(s, msg);
    } else if (is_stale(ch, msg)) {
        return;
    } else if (tk_slice_eq_str(msg->event, "phx_leave")) {
        reply(s, channel_ref(ch), msg, "ok", &empty_object);
        channel_close(ch);
    } else {
        channel_handle_in(ch, msg);
    }
}

void phx_socket_handle(struct session *s, const struct phx_msg *msg, bool is_binary,
                       struct tk_slice raw)
{
    if (msg->topic_is_string && tk_slice_eq_str(msg->topic, "phoenix") &&
        tk_slice_eq_str(msg->event, "heartbeat")) {
        reply(s, no_ref, msg, "ok", &empty_object);
        return;
    }
    struct channel *ch = msg->topic_is_string ? phx_socket_find(s, msg->topic) : NULL;
    if (!ch) {
        handle_absent(s, msg);
    } else if (ch->state == CHANNEL_JOINED) {
        handle_joined(s, ch, msg);
    } else if (channel_keep_early(ch, is_binary, raw)) {
        tk_log_info("too much sent while joining topic=%s", TK_ESCAPE(msg->topic));
        session_close_later(s, CLOSE_GOING_AWAY);
    }
}
