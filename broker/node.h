/* SPDX-License-Identifier: MIT */
/*
 * This worker as others see it: its id, and its entry in Redis under a lease (common/envelope.h).
 */
#pragma once

#include <uv.h>

#include "broker/redis/redis_link.h"

struct broker;

#define NODE_ID_MAX  128
#define NODE_KEY_MAX (NODE_ID_MAX + 16)

struct node {
    char id[NODE_ID_MAX]; /* "<broker>/<worker>@<incarnation>": unique over restarts */
    char broker_name[64];
    char incarnation[20];
    int worker;
    uv_timer_t timer;
    bool is_running;
    bool is_announced;
    char predecessor[NODE_KEY_MAX]; /* key of the entry of who bore the name before */
    struct redis_batch batch;       /* scratch */
};

/* broker_name is cut to fit. incarnation: a new one at every start (C128). */
void node_init(struct node *n, const char *broker_name, int worker);

/* Renews the entry three times per lease while the loop runs. */
void node_start(struct broker *b);
void node_announce(struct broker *b); /* at once: connected again, or draining */
/*
 * Stops the timer and removes the entry, now or, for what is kept of the worker's presences, after
 * a while (C129).
 */
void node_stop(struct broker *b, uint64_t linger_ms);
