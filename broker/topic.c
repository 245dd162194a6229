/* SPDX-License-Identifier: MIT */
/*
 * Topic index: topic name -> members, each knowing its place, so joining and leaving are O(1).
 * An empty topic is removed at once. Not here: the encoding itself (phx_codec) and other brokers
 * (pubsub, redis_link).
 */
#include "broker/topic.h"

#include <inttypes.h>
#include <stdlib.h>

#include "broker/broker.h"
#include "broker/channel.h"
#include "broker/phoenix/phx_socket.h"

#define PREFETCH_AHEAD 8

static struct tk_slice topic_key(const void *value)
{
    return topic_name(value);
}

void topic_table_init(struct topic_table *table)
{
    tk_map_init(&table->map, topic_key);
}

void topic_table_fini(struct topic_table *table)
{
    tk_assert(table->map.count == 0);
    tk_map_fini(&table->map);
}

bool topic_matches(struct tk_slice topic, struct tk_slice pattern)
{
    bool is_prefix = pattern.len > 0 && pattern.ptr[pattern.len - 1] == '*';
    if (!is_prefix)
        return tk_slice_eq(topic, pattern);
    return topic.len >= pattern.len - 1 && memcmp(topic.ptr, pattern.ptr, pattern.len - 1) == 0;
}

struct topic *topic_find(const struct topic_table *table, struct tk_slice name)
{
    return tk_map_find(&table->map, name);
}

struct topic *topic_hold(struct topic_table *table, struct tk_slice name,
                         const struct channel_module *module, bool *created)
{
    struct topic *t = topic_find(table, name);
    *created = !t;
    if (!t) {
        t = tk_xcalloc(1, sizeof(*t) + name.len);
        t->module = module;
        t->name_len = (uint32_t)name.len;
        memcpy(t->name, name.ptr, name.len);
        tk_map_put(&table->map, t);
    }
    t->holders++;
    return t;
}

bool topic_release(struct topic_table *table, struct topic *t)
{
    tk_assert(t->holders > 0);
    if (--t->holders > 0)
        return false;
    tk_assert(t->member_count == 0 && !t->waiting);
    tk_map_remove(&table->map, topic_name(t));
    free(t->members);
    free(t);
    return true;
}

void topic_add_member(struct topic *t, struct session *s, struct channel *ch)
{
    if (t->member_count == t->member_cap) {
        t->member_cap = t->member_cap ? t->member_cap + t->member_cap / 2 + 1 : 4;
        t->members = tk_xrealloc(t->members, t->member_cap * sizeof(*t->members));
    }
    ch->member_index = t->member_count;
    t->members[t->member_count++] = (struct topic_member){.session = s, .channel = ch};
}

void topic_remove_member(struct topic *t, struct channel *ch)
{
    uint32_t index = ch->member_index;
    tk_assert(index < t->member_count && t->members[index].channel == ch);
    struct topic_member last = t->members[--t->member_count];
    t->members[index] = last;
    last.channel->member_index = index;
    if (t->member_cap > 64 && t->member_count < t->member_cap / 4) {
        t->member_cap /= 2;
        t->members = tk_xrealloc(t->members, t->member_cap * sizeof(*t->members));
    }
}

/* One broadcast on its way: encoded when the first member of a serializer comes up. */
struct broadcast {
    struct broker *broker;
    struct tk_slice topic;
    struct tk_slice event;
    const struct phx_payload *payload;
    struct frame *frames[PHX_VSN_COUNT];
    bool is_encoded[PHX_VSN_COUNT];
};

static struct frame *broadcast_frame(struct broadcast *bc, enum phx_vsn vsn)
{
    if (!bc->is_encoded[vsn]) {
        bc->frames[vsn] = phx_encode_broadcast(vsn, &bc->broker->encode_scratch, bc->topic,
                                               bc->event, bc->payload);
        bc->is_encoded[vsn] = true;
    }
    return bc->frames[vsn];
}

static size_t deliver_to_members(struct broker *b, struct topic *t, struct tk_slice event,
                                 const struct phx_payload *payload, const struct channel *skip)
{
    struct broadcast bc = {.broker = b, .topic = topic_name(t), .event = event, .payload = payload};
    size_t reached = 0;
    for (uint32_t i = 0; i < PREFETCH_AHEAD && i < t->member_count; i++)
        session_prefetch(t->members[i].session);
    for (uint32_t i = 0; i < t->member_count; i++) {
        if (i + PREFETCH_AHEAD < t->member_count)
            session_prefetch(t->members[i + PREFETCH_AHEAD].session);
        const struct topic_member *m = &t->members[i];
        if (m->channel == skip)
            continue;
        struct frame *frame = broadcast_frame(&bc, m->session->vsn);
        if (!frame) {
            b->stats.no_encoding++;
            continue;
        }
        session_send(m->session, frame);
        reached++;
    }
    for (size_t v = 0; v < PHX_VSN_COUNT; v++)
        frame_unref(bc.frames[v]);
    return reached;
}

static void intercept(struct channel *ch, struct tk_slice event, const struct phx_payload *payload)
{
    if (ch->is_failed)
        return;
    enum tk_err err = ch->topic->module->handle_out(ch, event, payload);
    if (err)
        channel_fail(ch, err);
}

static size_t intercept_for_user(struct broker *b, struct topic *t, const struct tk_uuid *user,
                                 struct tk_slice event, const struct phx_payload *payload,
                                 const struct channel *skip)
{
    const struct online_user *u = online_users_find(&b->users, user);
    size_t reached = 0;
    for (struct session *s = u ? u->sessions : NULL; s; s = s->user_next) {
        struct channel *ch = phx_socket_find(s, topic_name(t));
        if (!ch || ch->state != CHANNEL_JOINED || ch == skip)
            continue;
        intercept(ch, event, payload);
        reached++;
    }
    return reached;
}

static size_t intercept_for_all(struct topic *t, struct tk_slice event,
                                const struct phx_payload *payload, const struct channel *skip)
{
    size_t reached = 0;
    for (uint32_t i = 0; i < t->member_count; i++) {
        if (t->members[i].channel == skip)
            continue;
        intercept(t->members[i].channel, event, payload);
        reached++;
    }
    return reached;
}

static bool is_intercepted(const struct channel_module *module, struct tk_slice event)
{
    for (const char *const *name = module->intercepts; name && *name; name++)
        if (tk_slice_eq_str(event, *name))
            return true;
    return false;
}

static void log_no_addressee(struct broker *b, const struct topic *t, struct tk_slice event)
{
    uint64_t suppressed;
    if (tk_log_allow(&b->no_addressee_log, b->now_ms, &suppressed))
        tk_log_warn("broadcast without a usable addressee dropped topic=%s event=%s more=%" PRIu64,
                    TK_ESCAPE(topic_name(t)), TK_ESCAPE(event), suppressed);
}

size_t topic_publish(struct broker *b, struct topic *t, struct tk_slice event,
                     const struct phx_payload *payload, const struct channel *skip)
{
    size_t reached = 0;
    struct tk_uuid user;
    if (!is_intercepted(t->module, event)) {
        reached = deliver_to_members(b, t, event, payload, skip);
    } else {
        enum tk_err err =
            t->module->addressee ? t->module->addressee(event, payload, &user) : TK_ENOTFOUND;
        if (err == TK_OK)
            reached = intercept_for_user(b, t, &user, event, payload, skip);
        else if (err == TK_ENOTFOUND)
            reached = intercept_for_all(t, event, payload, skip);
        else
            log_no_addressee(b, t, event);
    }
    b->stats.deliveries += reached;
    return reached;
}
