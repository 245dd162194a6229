/* SPDX-License-Identifier: MIT */
/*
 * Between topics and the Redis link. A topic's channel is subscribed from its first holder to its
 * last; a join waits for the confirmation, so that nothing published after its reply is missed
 * (C43). Every broker hears its own publishes again and drops them by their origin.
 */
#include "broker/pubsub.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "broker/broker.h"
#include "broker/channel.h"
#include "broker/channel_presence.h"
#include "common/envelope.h"

void pubsub_init(struct pubsub *p)
{
    *p = (struct pubsub){0};
}

void pubsub_fini(struct pubsub *p)
{
    tk_buf_fini(&p->message);
    tk_buf_fini(&p->channel);
    tk_buf_fini(&p->decode);
}

bool pubsub_is_linked(const struct broker *b)
{
    return b->redis && redis_link_is_up(b->redis);
}

bool pubsub_is_ready(const struct broker *b, const struct topic *t)
{
    return (t->is_linked || !pubsub_is_linked(b)) &&
           (!t->presence || presence_is_ready(t->presence));
}

static struct tk_slice topic_channel(struct pubsub *p, struct tk_slice topic)
{
    tk_buf_clear(&p->channel);
    tk_buf_append_str(&p->channel, TK_CHANNEL_TOPIC_PREFIX);
    tk_buf_append_slice(&p->channel, topic);
    return tk_buf_slice(&p->channel);
}

void pubsub_topic_opened(struct broker *b, struct topic *t)
{
    if (b->redis)
        redis_link_subscribe(b->redis, topic_channel(&b->pubsub, topic_name(t)));
    channel_presence_open(b, t);
}

static void write_envelope(struct broker *b, struct tk_slice topic, struct tk_slice event,
                           const struct phx_payload *payload)
{
    struct pubsub *p = &b->pubsub;
    char id[24];
    snprintf(id, sizeof(id), "%" PRIu64, ++p->sequence);
    tk_buf_clear(&p->message);
    if (payload->is_binary)
        tk_envelope_write_binary(&p->message, b->node.id, id, topic, event, payload->bytes);
    else
        tk_envelope_write(&p->message, b->node.id, id, topic, event, payload->bytes);
}

static void publish(struct broker *b, struct tk_slice topic, struct tk_slice event,
                    const struct phx_payload *payload)
{
    write_envelope(b, topic, event, payload);
    enum tk_err err = redis_link_publish(b->redis, topic_channel(&b->pubsub, topic),
                                         tk_buf_slice(&b->pubsub.message));
    if (!err)
        return;
    uint64_t suppressed;
    b->stats.unpublished++;
    if (tk_log_allow(&b->pubsub.publish_log, b->now_ms, &suppressed))
        tk_log_warn("broadcast reached local members only error=\"%s\" more=%" PRIu64,
                    tk_strerror(err), suppressed);
}

void pubsub_broadcast(struct broker *b, struct topic *t, struct tk_slice event,
                      const struct phx_payload *payload, const struct channel *skip)
{
    topic_publish(b, t, event, payload, skip);
    if (b->redis)
        publish(b, topic_name(t), event, payload);
}

static void drop_malformed(struct broker *b, struct tk_slice channel, const char *why)
{
    uint64_t suppressed;
    b->stats.link_malformed++;
    if (tk_log_allow(&b->pubsub.malformed_log, b->now_ms, &suppressed))
        tk_log_warn(
            "malformed message on the Redis link dropped channel=%s why=\"%s\" more=%" PRIu64,
            TK_ESCAPE(channel), why, suppressed);
}

static bool has_prefix(struct tk_slice s, const char *prefix)
{
    size_t len = strlen(prefix);
    return s.len >= len && memcmp(s.ptr, prefix, len) == 0;
}

static struct tk_slice behind(struct tk_slice s, const char *prefix)
{
    size_t len = strlen(prefix);
    return tk_slice(s.ptr + len, s.len - len);
}

/* ref holds this broker's id as a JSON string. */
static bool is_own_echo(const struct broker *b, struct phx_ref origin)
{
    size_t len = strlen(b->node.id);
    return origin.json.len == len + 2 && memcmp(origin.json.ptr + 1, b->node.id, len) == 0;
}

static void on_topic_message(struct broker *b, struct tk_slice channel, struct tk_slice message)
{
    struct tk_slice name = behind(channel, TK_CHANNEL_TOPIC_PREFIX);
    struct topic *t = topic_find(&b->topics, name);
    struct phx_msg msg;
    bool is_binary = message.len > 0 && message.ptr[0] == '\0';
    if (!t)
        return; /* the last member left while the message was on its way */
    if (phx_decode(PHX_V2, is_binary, message, &b->pubsub.decode, &msg))
        drop_malformed(b, channel, "neither a V2 frame nor a binary push");
    else if (!msg.topic_is_string || !tk_slice_eq(msg.topic, name))
        drop_malformed(b, channel, "its topic is not the channel's");
    else if (msg.event.len == 0 || msg.event.len > TK_TOPIC_MAX)
        drop_malformed(b, channel, "event must have 1 to 255 bytes");
    else if (!msg.payload.is_binary && msg.payload.type != TK_JSON_OBJECT)
        drop_malformed(b, channel, "payload must be an object");
    else if (!is_own_echo(b, msg.join_ref))
        topic_publish(b, t, msg.event, &msg.payload, NULL);
}

static void on_user_message(struct broker *b, struct tk_slice channel, struct tk_slice message)
{
    struct tk_user_event event;
    if (tk_user_event_parse(message, &b->pubsub.decode, &event)) {
        drop_malformed(b, channel, "not a user event");
        return;
    }
    if (b->directory)
        user_directory_on_event(b->directory, &event);
    online_users_on_event(b, &event);
}

void pubsub_on_message(struct broker *b, struct tk_slice channel, struct tk_slice message)
{
    if (has_prefix(channel, TK_CHANNEL_TOPIC_PREFIX))
        on_topic_message(b, channel, message);
    else if (has_prefix(channel, TK_CHANNEL_PRESENCE_PREFIX))
        presence_store_on_delta(b, behind(channel, TK_CHANNEL_PRESENCE_PREFIX), message);
    else if (tk_slice_eq_str(channel, TK_CHANNEL_USERS))
        on_user_message(b, channel, message);
    else if (tk_slice_eq_str(channel, TK_CHANNEL_NODES) && presence_store_on_news(b, message))
        drop_malformed(b, channel, "not news of a node");
}

void pubsub_release_topic(struct broker *b, struct topic *t)
{
    if (t->holders == 1) {
        channel_presence_close(t);
        if (b->redis)
            redis_link_unsubscribe(b->redis, topic_channel(&b->pubsub, topic_name(t)));
    }
    topic_release(&b->topics, t);
}

/* Each join may bring early frames that end channels of this topic: the caller holds it. */
static void complete_waiting(struct topic *t)
{
    while (t->waiting) {
        struct channel *ch = t->waiting;
        t->waiting = ch->next_waiting;
        ch->next_waiting = NULL;
        channel_complete_join(ch);
    }
}

void pubsub_let_in(struct broker *b, struct topic *t)
{
    if (pubsub_is_ready(b, t))
        complete_waiting(t);
}

static void on_topic_subscribed(struct broker *b, struct tk_slice name)
{
    struct topic *t = topic_find(&b->topics, name);
    if (!t)
        return;
    t->is_linked = true;
    t->holders++;
    pubsub_let_in(b, t);
    pubsub_release_topic(b, t);
}

void pubsub_on_subscribed(struct broker *b, struct tk_slice channel)
{
    if (has_prefix(channel, TK_CHANNEL_TOPIC_PREFIX))
        on_topic_subscribed(b, behind(channel, TK_CHANNEL_TOPIC_PREFIX));
    else if (has_prefix(channel, TK_CHANNEL_PRESENCE_PREFIX))
        presence_store_on_subscribed(b, behind(channel, TK_CHANNEL_PRESENCE_PREFIX));
}

void pubsub_joins_wait(struct broker *b, struct topic *t)
{
    uint64_t limit = (uint64_t)b->settings->join_timeout_ms;
    t->waiting_since_ms = b->now_ms;
    if (b->pubsub.joins_wait_until_ms == 0)
        b->pubsub.joins_wait_until_ms = b->now_ms + limit;
}

/* The topic may lose its last channel: it is held meanwhile. */
static void give_up_waiting(struct broker *b, struct topic *t)
{
    t->holders++;
    while (t->waiting) {
        b->stats.join_timeouts++;
        channel_give_up_join(t->waiting);
    }
    pubsub_release_topic(b, t);
}

void pubsub_check_joins(struct broker *b)
{
    uint64_t limit = (uint64_t)b->settings->join_timeout_ms;
    if (b->pubsub.joins_wait_until_ms == 0 || b->now_ms < b->pubsub.joins_wait_until_ms)
        return;
    struct topic **late = tk_xcalloc(b->topics.map.count + 1, sizeof(struct topic *));
    size_t count = 0, pos = 0;
    uint64_t next = 0;
    struct topic *t;
    while ((t = tk_map_next(&b->topics.map, &pos))) {
        if (!t->waiting)
            continue;
        uint64_t until = t->waiting_since_ms + limit;
        if (until <= b->now_ms)
            late[count++] = t;
        else if (next == 0 || until < next)
            next = until;
    }
    b->pubsub.joins_wait_until_ms = next;
    for (size_t i = 0; i < count; i++)
        give_up_waiting(b, late[i]);
    if (count > 0)
        tk_log_warn("joins refused: Redis does not confirm their topics topics=%zu", count);
    free(late);
}

void pubsub_on_down(struct broker *b)
{
    struct topic **stranded = tk_xcalloc(b->topics.map.count + 1, sizeof(struct topic *));
    size_t count = 0, pos = 0;
    struct topic *t;
    while ((t = tk_map_next(&b->topics.map, &pos))) {
        t->is_linked = false;
        if (t->waiting) {
            t->holders++;
            stranded[count++] = t;
        }
    }
    for (size_t i = 0; i < count; i++) {
        complete_waiting(stranded[i]);
        pubsub_release_topic(b, stranded[i]);
    }
    free(stranded);
}
