/* SPDX-License-Identifier: MIT */
/*
 * One channel's life: joining -> joined -> gone. A channel is on its session's list and holds its
 * topic from channel_open to channel_end; it is a member of the topic exactly while joined.
 * Not here: which message does what (phx_socket), and what the application does (channels/).
 */
#include "broker/channel.h"

#include <inttypes.h>
#include <stdlib.h>

#include "broker/broker.h"
#include "broker/channel_presence.h"
#include "broker/phoenix/phx_socket.h"
#include "common/tk_log.h"

#define EARLY_MAX_BYTES (64U * 1024) /* kept for one joining channel (C49) */

struct channel_early {
    struct channel_early *next;
    uint32_t len;
    bool is_binary;
    char bytes[];
};

const struct channel_module *channel_module_for(const struct channel_module *const *modules,
                                                struct tk_slice topic)
{
    for (; *modules; modules++)
        if (topic_matches(topic, tk_slice_str((*modules)->topic)))
            return *modules;
    return NULL;
}

/* The module's state stands first in data, then the refs of the join. */
static size_t state_room(const struct topic *t)
{
    return (t->module->state_size + 7) & ~(size_t)7;
}

void *channel_state(struct channel *ch)
{
    return ch->data;
}

struct tk_slice channel_topic(const struct channel *ch)
{
    return topic_name(ch->topic);
}

const struct online_user *channel_user(const struct channel *ch)
{
    return ch->session->user;
}

struct phx_ref channel_join_ref(const struct channel *ch)
{
    return (struct phx_ref){tk_slice(ch->data + state_room(ch->topic), ch->join_ref_len)};
}

/* The ref of the phx_join message. */
static struct phx_ref join_message_ref(const struct channel *ch)
{
    return (struct phx_ref){
        tk_slice(ch->data + state_room(ch->topic) + ch->join_ref_len, ch->ref_len)};
}

struct phx_ref channel_ref(const struct channel *ch)
{
    return ch->join_ref_len > 0 ? channel_join_ref(ch) : join_message_ref(ch);
}

void channel_broadcast(struct channel *ch, struct tk_slice event, const struct phx_payload *payload)
{
    pubsub_broadcast(ch->session->broker, ch->topic, event, payload, NULL);
}

void channel_broadcast_from(struct channel *ch, struct tk_slice event,
                            const struct phx_payload *payload)
{
    pubsub_broadcast(ch->session->broker, ch->topic, event, payload, ch);
}

void channel_push(struct channel *ch, struct tk_slice event, const struct phx_payload *payload)
{
    struct session *s = ch->session;
    struct frame *frame = phx_encode_push(s->vsn, &s->broker->encode_scratch, channel_ref(ch),
                                          channel_topic(ch), event, payload);
    if (!frame)
        s->broker->stats.no_encoding++;
    session_send_take(s, frame);
}

enum tk_err channel_shout(struct channel *ch, const struct phx_msg *msg)
{
    if (!msg->payload.is_binary && msg->payload.type != TK_JSON_OBJECT)
        return TK_EINVAL;
    channel_broadcast(ch, msg->event, &msg->payload);
    return TK_OK;
}

static void send_reply(struct channel *ch, struct phx_ref join_ref, struct phx_ref ref,
                       struct tk_slice status, const struct phx_payload *response)
{
    struct session *s = ch->session;
    struct phx_topic topic = {.bytes = channel_topic(ch)};
    struct frame *frame = phx_encode_reply(s->vsn, &s->broker->encode_scratch, join_ref, ref, topic,
                                           status, response);
    if (!frame)
        s->broker->stats.no_encoding++;
    session_send_take(s, frame);
}

void channel_reply(struct channel *ch, const struct phx_msg *msg, struct tk_slice status,
                   const struct phx_payload *response)
{
    send_reply(ch, channel_ref(ch), msg->ref, status, response);
}

static void reply_reason(struct channel *ch, const struct phx_msg *msg, struct tk_slice object)
{
    struct phx_payload response = channel_object(object);
    channel_reply(ch, msg, TK_SLICE("error"), &response);
}

void channel_handle_in(struct channel *ch, const struct phx_msg *msg)
{
    if (ch->is_failed)
        return;
    enum tk_err err = ch->topic->module->handle_in(ch, msg);
    if (err == TK_ENOTFOUND)
        reply_reason(ch, msg, TK_SLICE("{\"reason\":\"unknown event\"}"));
    else if (err == TK_EINVAL)
        reply_reason(ch, msg, TK_SLICE("{\"reason\":\"invalid payload\"}"));
    else if (err)
        channel_fail(ch, err);
}

static void copy_bytes(char *to, struct tk_slice from)
{
    if (from.len > 0)
        memcpy(to, from.ptr, from.len);
}

static struct channel *channel_new(struct session *s, struct topic *t, const struct phx_msg *join)
{
    size_t state_size = state_room(t);
    struct tk_slice join_ref = join->join_ref.json;
    struct tk_slice ref = join->ref.json;
    struct channel *ch = tk_xcalloc(1, sizeof(*ch) + state_size + join_ref.len + ref.len);
    ch->session = s;
    ch->topic = t;
    ch->state = CHANNEL_JOINING;
    ch->join_ref_len = (uint8_t)join_ref.len;
    ch->ref_len = (uint8_t)ref.len;
    copy_bytes(ch->data + state_size, join_ref);
    copy_bytes(ch->data + state_size + join_ref.len, ref);
    ch->next = s->channels;
    s->channels = ch;
    s->channel_count++;
    return ch;
}

static void refuse_join(struct channel *ch, struct tk_slice reason_object)
{
    struct phx_payload reason = channel_object(reason_object);
    send_reply(ch, channel_join_ref(ch), join_message_ref(ch), TK_SLICE("error"), &reason);
    channel_end(ch, CHANNEL_LEFT);
}

/* Clients rejoin what has failed, and may go on like that for ever (C174). */
static void log_crash(const struct channel *ch, const char *what, enum tk_err why)
{
    struct broker *b = ch->session->broker;
    uint64_t suppressed;
    if (tk_log_allow(&b->crash_log, b->now_ms, &suppressed))
        tk_log_error("%s crashed topic=%s error=\"%s\" more=%" PRIu64, what,
                     TK_ESCAPE(channel_topic(ch)), tk_strerror(why), suppressed);
}

/* Asks the module; a refused join is answered and over. */
static bool is_accepted(struct channel *ch, const struct phx_payload *params)
{
    const struct channel_module *module = ch->topic->module;
    struct tk_buf response = {0};
    enum tk_err err = module->join ? module->join(ch, params, &response) : TK_OK;
    if (err == TK_OK && response.len > 0) {
        ch->response = tk_xstrndup(response.data, response.len);
    } else if (err == TK_EDENIED) {
        refuse_join(ch, response.len > 0 ? tk_buf_slice(&response)
                                         : TK_SLICE("{\"reason\":\"unauthorized\"}"));
    } else if (err) {
        log_crash(ch, "join", err);
        refuse_join(ch, TK_SLICE("{\"reason\":\"join crashed\"}"));
    }
    tk_buf_fini(&response);
    return err == TK_OK;
}

void channel_open(struct session *s, const struct channel_module *module,
                  const struct phx_msg *join)
{
    struct broker *b = s->broker;
    bool created;
    struct topic *t = topic_hold(&b->topics, join->topic, module, &created);
    struct channel *ch = channel_new(s, t, join);
    if (created)
        pubsub_topic_opened(b, t);
    if (!is_accepted(ch, &join->payload))
        return;
    if (pubsub_is_ready(b, t)) {
        channel_complete_join(ch);
        return;
    }
    if (!t->waiting)
        pubsub_joins_wait(b, t);
    ch->next_waiting = t->waiting;
    t->waiting = ch;
}

void channel_give_up_join(struct channel *ch)
{
    refuse_join(ch, TK_SLICE("{\"reason\":\"join crashed\"}"));
}

/*
 * Frames that came while joining, in order. Each may end the channel, or the session's channels; a
 * leave and a new join among them make a new channel, which is why they are looked up again.
 */
static void handle_early(struct session *s, struct channel_early *early)
{
    struct broker *b = s->broker;
    while (early) {
        struct channel_early *next = early->next;
        struct phx_msg msg;
        struct tk_slice raw = tk_slice(early->bytes, early->len);
        if (s->state == SESSION_OPEN &&
            phx_decode(s->vsn, early->is_binary, raw, &b->decode_scratch, &msg) == TK_OK)
            phx_socket_handle(s, &msg, early->is_binary, raw);
        free(early);
        early = next;
    }
}

void channel_complete_join(struct channel *ch)
{
    struct session *s = ch->session;
    struct phx_payload response =
        channel_object(ch->response ? tk_slice_str(ch->response) : TK_SLICE("{}"));
    if (channel_presence_admit(ch)) {
        refuse_join(ch, TK_SLICE("{\"reason\":\"too many presences\"}"));
        return;
    }
    ch->state = CHANNEL_JOINED;
    send_reply(ch, channel_join_ref(ch), join_message_ref(ch), TK_SLICE("ok"), &response);
    free(ch->response);
    ch->response = NULL;
    channel_presence_send_state(ch);
    topic_add_member(ch->topic, s, ch);
    struct channel_early *early = ch->early;
    ch->early = NULL;
    ch->early_bytes = 0;
    handle_early(s, early);
}

enum tk_err channel_keep_early(struct channel *ch, bool is_binary, struct tk_slice bytes)
{
    size_t size = sizeof(struct channel_early) + bytes.len;
    if (size > EARLY_MAX_BYTES - ch->early_bytes)
        return TK_ELIMIT;
    struct channel_early *early = tk_xmalloc(size);
    *early = (struct channel_early){.len = (uint32_t)bytes.len, .is_binary = is_binary};
    copy_bytes(early->bytes, bytes);
    struct channel_early **end = &ch->early;
    while (*end)
        end = &(*end)->next;
    *end = early;
    ch->early_bytes += (uint32_t)size;
    return TK_OK;
}

static void unlink_from_topic(struct channel *ch)
{
    if (ch->state == CHANNEL_JOINED) {
        topic_remove_member(ch->topic, ch);
        return;
    }
    for (struct channel **p = &ch->topic->waiting; *p; p = &(*p)->next_waiting)
        if (*p == ch) {
            *p = ch->next_waiting;
            return;
        }
}

static void unlink_from_failed(struct channel *ch)
{
    struct channel **p = &ch->session->broker->failed_channels;
    while (*p != ch)
        p = &(*p)->next_failed;
    *p = ch->next_failed;
}

static void unlink_from_session(struct channel *ch)
{
    struct channel **p = &ch->session->channels;
    while (*p != ch)
        p = &(*p)->next;
    *p = ch->next;
    ch->session->channel_count--;
}

void channel_end(struct channel *ch, enum channel_end why)
{
    struct broker *b = ch->session->broker;
    struct topic *t = ch->topic;
    if (ch->state == CHANNEL_JOINED && t->module->terminate)
        t->module->terminate(ch, why);
    unlink_from_topic(ch);
    channel_presence_end(ch, why);
    unlink_from_session(ch);
    if (ch->is_failed)
        unlink_from_failed(ch);
    while (ch->early) {
        struct channel_early *early = ch->early;
        ch->early = early->next;
        free(early);
    }
    free(ch->response);
    free(ch);
    pubsub_release_topic(b, t);
}

static void send_end(struct channel *ch, struct tk_slice event, struct tk_slice payload)
{
    struct session *s = ch->session;
    session_send_take(s, phx_encode_end(s->vsn, &s->broker->encode_scratch, channel_join_ref(ch),
                                        channel_topic(ch), event, payload));
}

void channel_close(struct channel *ch)
{
    send_end(ch, TK_SLICE("phx_close"), TK_SLICE("{}"));
    channel_end(ch, CHANNEL_LEFT);
}

void channel_fail(struct channel *ch, enum tk_err why)
{
    struct broker *b = ch->session->broker;
    if (ch->is_failed)
        return;
    log_crash(ch, "channel", why);
    ch->is_failed = true;
    ch->next_failed = b->failed_channels;
    b->failed_channels = ch;
}

void channels_end_turn(struct broker *b)
{
    while (b->failed_channels) {
        struct channel *ch = b->failed_channels;
        b->failed_channels = ch->next_failed;
        ch->is_failed = false;
        send_end(ch, TK_SLICE("phx_error"), TK_SLICE("{\"reason\":\"channel_crash\"}"));
        channel_end(ch, CHANNEL_CRASHED);
    }
}
