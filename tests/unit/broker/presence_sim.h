/* SPDX-License-Identifier: MIT */
/*
 * Several presence engines and a store between them, in one process and on a fake clock. The store
 * keeps Redis' promises (transactions, commands of one connection in order) and the network none:
 * in rough times deltas are lost, doubled and reordered. Reads of the store take several steps, so
 * that everything can happen in between.
 *
 * Members see what phoenix.js would: each has a view, made of the state it was given and of the
 * diffs since, and every diff is checked against it as it comes.
 */
#pragma once

#include "broker/presence/presence_internal.h"

#define SIM_NODES   5
#define SIM_TOPICS  3
#define SIM_USERS   6
#define SIM_MEMBERS 6 /* of one topic on one node */
#define SIM_LEASE   10000

struct sim_view {
    char (*refs)[PRESENCE_REF_LEN + 1];
    size_t count, cap;
};

struct sim_member {
    bool is_used;
    bool is_joined; /* tracked, and has its view */
    unsigned user;
    struct presence_entry *entry;
    struct sim_view view;
};

struct sim_room {
    struct presence_topic *t; /* NULL: nobody here */
    bool is_subscribed;
    unsigned holders;
    struct sim_member members[SIM_MEMBERS];
};

struct sim_node {
    struct sim *sim;
    unsigned index, incarnation;
    bool is_alive, is_paused, is_linked;
    unsigned link; /* counts up with every change: answers of an old link are dropped */
    char id[32];
    struct presence presence;
    struct sim_room rooms[SIM_TOPICS];
    uint64_t lease_until, lease_floor;
    uint64_t linger_until, linger_floor; /* of the incarnation before this one */
    char linger_id[32];
    uint64_t sent_until, answered_until; /* order on the command connection */
    uint64_t heard_until;                /* order on the subscribed connection */
    struct sim_event *unread;            /* while paused */
    size_t unread_count, unread_cap;
};

struct sim {
    uint64_t seed, random;
    uint64_t now;
    bool is_rough;  /* deltas are lost, doubled, reordered */
    bool says_more; /* print what happens */
    struct sim_node nodes[SIM_NODES];
    unsigned node_count;
    struct sim_event *events; /* heap */
    size_t event_count, event_cap;
    struct sim_field *fields; /* the store: entries and numbers of all topics */
    size_t field_count, field_cap;
    uint64_t window_ms;
    uint64_t diffs;
    const char *failure; /* what went wrong; NULL: nothing so far */
    char detail[200];
};

void sim_init(struct sim *s, uint64_t seed, unsigned nodes, uint64_t window_ms);
void sim_fini(struct sim *s);

uint64_t sim_random(struct sim *s, uint64_t below);

/* Time passes: everything that is due happens. */
void sim_run(struct sim *s, uint64_t ms);

void sim_start(struct sim *s, unsigned node); /* a new incarnation; announces itself */
void sim_kill(struct sim *s, unsigned node);
void sim_drain(struct sim *s, unsigned node); /* graceful: its entries are kept for a while */
void sim_pause(struct sim *s, unsigned node, bool is_paused);
void sim_link(struct sim *s, unsigned node, bool is_linked);
void sim_wipe_store(struct sim *s); /* restarts empty: all links fall */

/* False: that member is busy already, or is not there. */
bool sim_join(struct sim *s, unsigned node, unsigned topic, unsigned member, unsigned user);
bool sim_leave(struct sim *s, unsigned node, unsigned topic, unsigned member);
bool sim_update(struct sim *s, unsigned node, unsigned topic, unsigned member);

/* Everybody agrees with the truth: nodes, members' views, and the store. Else failure is set. */
bool sim_check(struct sim *s);
