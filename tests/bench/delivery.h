/* SPDX-License-Identifier: MIT */
/*
 * A run of numbered broadcasts to one room, or to every room in turn, and the check of every single
 * delivery: each member must get each broadcast once, in order. The publisher writes number and
 * time into the payload, {"n":17,"t":123456789,"pad":"xxx"}, so the receivers may be in other
 * processes than the publisher.
 */
#pragma once

#include "common/tk_base.h"
#include "tests/bench/clients.h"
#include "tests/bench/histogram.h"

struct deliveries;
struct redisContext;

enum publisher {
    PUBLISHER_NONE,  /* another process publishes; these are only expected */
    PUBLISHER_PUSH,  /* a member of the room pushes them */
    PUBLISHER_REDIS, /* PUBLISH on the Redis link (common/envelope.h) */
};

/* Broadcast k of the run goes to room k modulo the number of rooms, each time from another member.
 */
#define DELIVERY_EVERY_ROOM UINT32_MAX

struct delivery_plan {
    enum publisher publisher;
    uint32_t room;  /* or DELIVERY_EVERY_ROOM, for PUBLISHER_PUSH only */
    uint64_t first; /* number of the first broadcast; 0: go on where the last run ended */
    uint32_t count;
    uint32_t size;        /* bytes of payload, at least */
    uint32_t window;      /* broadcasts that may be on their way at a time; 0: any number */
    uint64_t interval_ns; /* between two publishes, at least */
    uint64_t patience_ns; /* without any delivery, after which the rest counts as missing */
};

struct delivery_result {
    uint64_t first;
    uint32_t published;
    uint32_t receivers;  /* members of the room, or of all */
    uint64_t deliveries; /* each broadcast counted once per receiver */
    uint64_t missing;
    uint64_t duplicates;        /* or later than 64 others after it */
    uint64_t out_of_order;      /* came after a later one of the same sender */
    uint64_t strays;            /* malformed, of another run, or of another room */
    uint64_t start_ns;          /* first publish (or when it was expected) */
    uint64_t end_ns;            /* last delivery */
    struct histogram latencies; /* ns, from the publish to the read that brought it */
};

/*
 * Listens to the broadcasts of the clients, of which there can be client_count. Borrows both; redis
 * may be NULL, then PUBLISHER_REDIS is not possible.
 */
struct deliveries *deliveries_new(struct clients *clients, uint32_t client_count,
                                  struct redisContext *redis);
void deliveries_free(struct deliveries *d);

/* NULL, or why the plan cannot be carried out. */
const char *deliveries_begin(struct deliveries *d, const struct delivery_plan *plan);

/* Publishes what is due; returns when there is something to do again (CLOCK_MONOTONIC, ns). */
uint64_t deliveries_tick(struct deliveries *d, uint64_t now_ns);
bool deliveries_are_running(const struct deliveries *d);

/* Of the run that has ended last. */
const struct delivery_result *deliveries_result(const struct deliveries *d);
