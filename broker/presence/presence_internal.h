/* SPDX-License-Identifier: MIT */
/* What the three parts of the presence engine share; nobody else includes this. */
#pragma once

#include "broker/presence/presence.h"

/* One node's part of one topic. */
struct presence_part {
    struct presence_origin origin; /* its entries */
    struct presence_node *node;    /* NULL: ourselves */
    struct presence_topic *topic;
    struct presence_part *next;                  /* of the topic */
    struct presence_part *node_prev, *node_next; /* of the node */
    uint64_t seq;        /* of the last delta that is in; everything before it is in, too */
    uint64_t read_seq;   /* what the read at hand found; 0: nothing */
    uint64_t read_floor; /* the node's floor when that read began */
};

struct presence_node {
    struct presence_node *prev, *next; /* all of them; in an order, so that tests can be repeated */
    struct presence_part *parts;
    bool is_up;       /* its lease was seen, and not yet missed */
    bool is_answered; /* we were told about its lease at least once */
    bool is_checked;  /* its lease was seen since the link came up */
    bool is_missing;  /* the store has no lease of it, which may be the store's fault */
    bool is_draining;
    uint32_t asked;    /* questions about its lease on their way */
    uint64_t asked_ms; /* when the last one left */
    uint64_t since_ms; /* when we first heard of it */
    uint64_t floor;
    uint32_t id_len;
    char id[];
};

#define PRESENCE_COMPARE_MS 60000 /* how long a loss that nothing shows may last */
#define PRESENCE_RECHECK_MS 2000  /* after we wrote everything anew */

enum presence_read_state {
    READ_NONE,
    READ_QUEUED,
    READ_RUNNING,
};

struct presence_removed {
    char ref[PRESENCE_REF_LEN];
    uint64_t seq; /* of the write that removes it; 0: not written */
};

/* A delta that waits for the read of the store that must come before it. */
struct presence_held {
    struct presence_held *next;
    size_t len;
    char text[];
};

struct presence_topic {
    struct presence *p;
    struct presence_topic *prev, *next; /* all of them */
    void *owner;
    struct presence_set set;
    struct presence_part self;
    struct presence_part *parts;
    bool is_open;
    bool is_ready;
    uint64_t opened_ms;
    struct frame *state;

    bool is_due;
    uint64_t due_ms;
    struct presence_topic *due_prev, *due_next;

    uint32_t unsent;        /* own entries not written: the last so many of self */
    bool needs_reset;       /* the next write tells everything */
    uint64_t write_from_ms; /* not before, after a failure */
    uint64_t written_ms;
    struct presence_removed *removed; /* from the store, oldest first; until that is certain */
    size_t removed_count, removed_cap, removed_unsent;

    enum presence_read_state read_state;
    struct presence_topic *read_prev, *read_next;
    uint64_t read_id;
    uint64_t read_from_ms; /* not before */
    uint64_t compare_ms;   /* when the store's numbers are looked at next */
    bool is_probe;         /* the read is of numbers only */
    bool wants_full_read;
    uint32_t read_mark;
    uint64_t seq_at_read;  /* our own */
    uint64_t read_entries; /* how many the store has */
    struct presence_held *held, **held_end;
    size_t held_bytes;

    uint32_t name_len;
    char name[];
};

static inline struct tk_slice node_id(const struct presence_node *n)
{
    return tk_slice(n->id, n->id_len);
}

/* presence.c */
struct presence_topic *presence_find(const struct presence *p, struct tk_slice name);
void presence_schedule(struct presence_topic *t); /* a change is to be told */
void presence_settle(struct presence_topic *t);   /* tells it now when there is no window */
void presence_reset(struct presence_topic *t);
void presence_reset_all(struct presence *p);
void presence_become_ready(struct presence_topic *t);

/* presence_sync.c */
void presence_request_read(struct presence_topic *t);
void presence_cancel_read(struct presence_topic *t);
void presence_run_reads(struct presence *p);
bool presence_is_complete(const struct presence_topic *t); /* as far as is known */
void presence_compare_old(struct presence *p);             /* anti-entropy */
void presence_drop_part(struct presence_part *part);

/* presence_nodes.c */
struct presence_node *presence_node_get(struct presence *p, struct tk_slice id);
void presence_node_link(struct presence_node *n, struct presence_part *part);
void presence_node_unlink(struct presence *p, struct presence_part *part); /* may free the node */
void presence_poll_nodes(struct presence *p);
void presence_nodes_init(struct presence *p);
void presence_nodes_fini(struct presence *p);
