/* SPDX-License-Identifier: MIT */
/*
 * Presence in Redis: what the engine (presence.h) asks of its store, as commands on the Redis link,
 * and what Redis answers, as calls of the engine. The keys and channels are in common/envelope.h.
 * The engine's other side, channels and what their clients see, is channel_presence.
 */
#pragma once

#include "broker/presence/presence.h"
#include "broker/redis/redis_link.h"
#include "common/tk_log.h"

struct broker;

struct presence_store {
    struct presence engine;
    struct topic *ready;      /* complete, joins wait for that; each is held */
    struct redis_batch batch; /* scratch */
    struct tk_buf key;        /* scratch */
    struct tk_buf text;       /* scratch */
    uint64_t malformed_logged;
    struct tk_log_limit malformed_log;
    struct tk_log_limit refused_log;
};

/* Uses b->settings, b->now_ms and, when it is there, b->redis; b->node may be filled in later. */
void presence_store_init(struct broker *b);
void presence_store_fini(struct broker *b);

/* Time passes, and batches that are due are told. At least every PRESENCE_POLL_MS. */
void presence_store_tick(struct broker *b, uint64_t now_ms);

/* From the Redis link: a message on, or the subscription of, tako:presence:<topic>. */
void presence_store_on_delta(struct broker *b, struct tk_slice topic, struct tk_slice message);
void presence_store_on_subscribed(struct broker *b, struct tk_slice topic);

/* A message on tako:nodes. TK_ESYNTAX or TK_EINVAL: it is not one that brokers send. */
enum tk_err presence_store_on_news(struct broker *b, struct tk_slice message) TK_MUST_CHECK;

/* The end of a loop turn: joins that waited for their topic are let in. */
void presence_store_end_turn(struct broker *b);
