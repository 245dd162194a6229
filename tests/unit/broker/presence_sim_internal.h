/* SPDX-License-Identifier: MIT */
/* What the parts of the simulation share; tests include presence_sim.h only. */
#pragma once

#include "tests/unit/broker/presence_sim.h"

#define SIM_MAX_DELAY 40 /* ms from a sender to Redis, or back */

enum event_kind {
    EVENT_WRITE, /* the store executes */
    EVENT_FORGET,
    EVENT_CHECK,
    EVENT_READ_SEQS,
    EVENT_READ_PART,
    EVENT_SUBSCRIBE,
    EVENT_WRITTEN, /* a node hears */
    EVENT_LEASE,
    EVENT_SEQS,
    EVENT_PART,
    EVENT_COUNT,
    EVENT_READ_END,
    EVENT_SUBSCRIBED,
    EVENT_DELTA,
    EVENT_NEWS,
    EVENT_LEASE_LOST,
};

struct sim_event {
    uint64_t at, order;
    enum event_kind kind;
    unsigned node, link, incarnation;
    unsigned topic;
    uint64_t number; /* seq, read id, floor */
    bool flag;
    size_t cursor;
    char *text; /* delta, or lines "field\ntext\n", or a node's id */
    char *more; /* of a write: refs that it removes */
};

struct sim_field {
    unsigned topic;
    bool is_seq;
    char *name; /* "<node>|<ref>" or "<node>" */
    char *text;
};

extern const char *const sim_topic_names[SIM_TOPICS];
unsigned sim_topic_index(struct tk_slice name);
void sim_node_name(char out[32], unsigned index, unsigned incarnation);

/* The first failure is the story's; say tells of everything when the story is told in detail. */
void sim_fail(struct sim *s, const char *what, const char *fmt, ...) TK_PRINTF(3, 4);
void sim_say(const struct sim *s, const char *fmt, ...) TK_PRINTF(2, 3);

/* Cuts the next line off. */
bool sim_next_line(const char **text, struct tk_slice *line);

static inline uint64_t sim_max(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* presence_sim_events.c; events own their texts */
void sim_push_event(struct sim *s, struct sim_event event);
struct sim_event sim_pop_event(struct sim *s);
/* A command of a node, executed in the order of asking; false, and freed: it has no link. */
bool sim_send_command(struct sim_node *n, struct sim_event event);
/* The answer, in the order of execution. */
void sim_answer(struct sim *s, const struct sim_event *command, enum event_kind kind, char *text);
bool sim_is_current(const struct sim *s, const struct sim_event *e);

/* presence_sim_store.c */
void sim_store_write(struct sim *s, const struct sim_event *e);
void sim_store_forget(struct sim *s, const struct sim_event *e);
void sim_store_check(struct sim *s, const struct sim_event *e);
void sim_store_read_seqs(struct sim *s, const struct sim_event *e);
void sim_store_read_part(struct sim *s, const struct sim_event *e);
void sim_store_clear(struct sim *s);

/* presence_sim_node.c */
extern const struct presence_ops sim_node_ops;
void sim_node_hear(struct sim_node *n, const struct sim_event *e);
/* A stopped process reads nothing; it comes to it, in order, when it goes on. */
void sim_node_keep_unread(struct sim_node *n, const struct sim_event *e);
void sim_node_read_unread(struct sim_node *n, bool is_heard);
/* The topic is ready: the member is tracked, and gets its state. */
void sim_node_admit(struct sim_node *n, struct sim_room *room, struct sim_member *m);

/* presence_sim_check.c: syncState and syncDiff of phoenix.js */
void sim_view_fill(struct sim_view *v, const struct presence_topic *t);
void sim_view_apply(struct sim_node *n, struct sim_view *v, struct tk_slice diff);
