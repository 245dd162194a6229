/* SPDX-License-Identifier: MIT */
/*
 * Topic index: topic name -> the channels that joined it. A topic exists while some channel holds
 * it and is removed with the last one, so that clients cannot grow the table for free. Not here:
 * other brokers (pubsub) and what a channel does with a message (channel).
 */
#pragma once

#include "broker/phoenix/phx_codec.h"
#include "common/tk_map.h"

struct broker;
struct channel;
struct channel_module;
struct presence_topic;
struct session;

/* The session stands beside its channel so that a broadcast reads nothing else. */
struct topic_member {
    struct session *session;
    struct channel *channel;
};

struct topic {
    const struct channel_module *module;
    struct topic_member *members; /* joined, in no order */
    uint32_t member_count;
    uint32_t member_cap;
    uint32_t holders;                /* channels of this topic in any state */
    bool is_linked;                  /* Redis confirmed our subscription */
    struct channel *waiting;         /* joins that wait for that */
    uint64_t waiting_since_ms;       /* while there are such */
    struct presence_topic *presence; /* NULL: the module has none */
    uint32_t told_count;             /* of a topic that only counts (C180) */
    bool counts_only;
    bool is_ready_listed; /* on presence_store.ready */
    struct topic *next_ready;
    uint32_t name_len;
    char name[];
};

struct topic_table {
    struct tk_map map;
};

void topic_table_init(struct topic_table *table);
void topic_table_fini(struct topic_table *table);

static inline struct tk_slice topic_name(const struct topic *t)
{
    return tk_slice(t->name, t->name_len);
}

/* "room:1" or, of all topics that begin so, "room:*". */
bool topic_matches(struct tk_slice topic, struct tk_slice pattern);

struct topic *topic_find(const struct topic_table *table, struct tk_slice name);

/* The topic, created if need be (*created), with one more holder. */
struct topic *topic_hold(struct topic_table *table, struct tk_slice name,
                         const struct channel_module *module, bool *created);

/* One holder less; with the last the topic is freed. True then. */
bool topic_release(struct topic_table *table, struct topic *t);

void topic_add_member(struct topic *t, struct session *s, struct channel *ch);
void topic_remove_member(struct topic *t, struct channel *ch);

/*
 * Delivers a broadcast to every member but skip (NULL: nobody), encoded once per serializer in use.
 * Events that the topic's module intercepts go through its handle_out instead, for the addressee's
 * channels only when the module names one (C77, C94). Members that fail or are over their budget
 * are closed at the end of the turn: the table does not change underneath the caller. Returns how
 * many channels were reached.
 */
size_t topic_publish(struct broker *b, struct topic *t, struct tk_slice event,
                     const struct phx_payload *payload, const struct channel *skip);
