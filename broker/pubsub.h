/* SPDX-License-Identifier: MIT */
/*
 * Broadcasts across brokers: local members first, then Redis (C65); and what comes from Redis, to
 * the local members. Subscribes to a topic's Redis channel while the topic has local holders.
 */
#pragma once

#include "broker/phoenix/phx_codec.h"
#include "common/tk_log.h"

struct broker;
struct channel;
struct topic;

struct pubsub {
    struct tk_buf message; /* scratch */
    struct tk_buf channel; /* scratch */
    struct tk_buf decode;  /* scratch */
    uint64_t sequence;
    uint64_t joins_wait_until_ms; /* no join waits longer than that; 0: none waits */
    struct tk_log_limit malformed_log;
    struct tk_log_limit publish_log;
};

void pubsub_init(struct pubsub *p);
void pubsub_fini(struct pubsub *p);

/*
 * Local delivery happens before this returns. When Redis is away the other brokers' members miss
 * the message (at most once, C68); that is counted and logged once a minute.
 */
void pubsub_broadcast(struct broker *b, struct topic *t, struct tk_slice event,
                      const struct phx_payload *payload, const struct channel *skip);

/* False while there are no other brokers to hear from: then a join need not wait for Redis. */
bool pubsub_is_linked(const struct broker *b);

/* May clients be let in: nothing that is published is missed, and who is present is known. */
bool pubsub_is_ready(const struct broker *b, const struct topic *t);
/* Completes the joins that wait for that, if it is so. The caller holds the topic. */
void pubsub_let_in(struct broker *b, struct topic *t);

/* A topic got its first holder: subscribe to it. */
void pubsub_topic_opened(struct broker *b, struct topic *t);
/* One holder less; with the last the subscription and the topic end. */
void pubsub_release_topic(struct broker *b, struct topic *t);

/*
 * From the Redis link. on_message handles all of tako's channels. on_down completes the joins
 * that waited: without Redis they are served locally.
 */
void pubsub_on_message(struct broker *b, struct tk_slice channel, struct tk_slice message);
void pubsub_on_subscribed(struct broker *b, struct tk_slice channel);
void pubsub_on_down(struct broker *b);

/* The first join begins to wait for the topic's subscription. */
void pubsub_joins_wait(struct broker *b, struct topic *t);

/* Now and then: joins that Redis does not answer for in time are refused (C173). */
void pubsub_check_joins(struct broker *b);
