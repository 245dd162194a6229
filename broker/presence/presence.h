/* SPDX-License-Identifier: MIT */
/*
 * Presence across workers (C99-C133). Every worker is a replica: it owns the entries of its own
 * channels, and keeps those of the others for topics that have members here. It tells others of its
 * changes by numbered deltas, and keeps its entries in a store (Redis) for those who come later or
 * have missed something. The store's leases say which nodes live.
 *
 * This is the whole protocol, without network and without a clock of its own: what it wants from
 * the store goes out through struct presence_ops and comes back through the functions below, and
 * the caller tells the time. Several can live in one process; the property test has them talk over
 * a network that loses, doubles, delays and reorders.
 *
 *   presence.c        topics, our own entries, batches, what we write
 *   presence_sync.c   what others write: deltas, and reading the store
 *   presence_nodes.c  who lives: leases, the link, restarts
 */
#pragma once

#include "broker/presence/presence_set.h"
#include "broker/presence/presence_wire.h"

struct presence;
struct presence_topic;
struct frame;

/* One transaction: all of it is done, or none. Slices are borrowed. */
struct presence_write {
    struct tk_slice topic;
    uint64_t seq;
    bool is_empty;               /* the node has nothing left on the topic: its number is deleted */
    const struct tk_slice *refs; /* of the entries below */
    const struct tk_slice *entries;
    size_t entry_count;
    const struct tk_slice *removed; /* refs */
    size_t removed_count;
    struct tk_slice delta; /* to be published */
};

/*
 * What the engine asks for. None of them may call back before returning. The bool ones say whether
 * it was asked for; if not, the engine tries again later.
 */
struct presence_ops {
    /* Members of the topic get this diff, or in a topic that only counts, the count. */
    void (*on_diff)(void *arg, struct presence_topic *t, struct tk_slice diff);
    /* The topic is complete, as far as can be known: its first members may be let in. */
    void (*on_ready)(void *arg, struct presence_topic *t);

    void (*subscribe)(void *arg, struct tk_slice topic);
    void (*unsubscribe)(void *arg, struct tk_slice topic);
    /* presence_on_written follows. */
    bool (*write)(void *arg, const struct presence_write *w);
    /* presence_on_read_* follow, with this id. only_seqs: entries are counted only. */
    bool (*read)(void *arg, struct tk_slice topic, uint64_t id, bool only_seqs);
    /* presence_on_lease follows. */
    bool (*check)(void *arg, struct tk_slice node);
    /* Removes what a dead node left: these refs, and its number when wholly is set. */
    void (*forget)(void *arg, struct tk_slice topic, struct tk_slice node,
                   const struct tk_slice *refs, size_t count, bool wholly);
    /* Keeps the topic from expiring; presence_on_expired follows if it had. */
    void (*touch)(void *arg, struct tk_slice topic);
};

#define PRESENCE_TTL_LEASES 6 /* how long the store keeps a topic that nobody renews */

struct presence_options {
    const char *node_id; /* "name/worker@incarnation"; borrowed */
    uint64_t window_ms;  /* changes of a topic are told together; 0: each at once (C116) */
    uint64_t lease_ms;   /* after which a silent node is gone */
    uint32_t max_per_key;
    uint32_t max_per_topic;
};

struct presence_stats {
    uint64_t deltas;    /* of others, applied */
    uint64_t gaps;      /* deltas that came too early: something was missed */
    uint64_t reads;     /* of the store */
    uint64_t malformed; /* texts of the store or of deltas that were dropped */
    uint64_t nodes_lost;
};

struct presence {
    struct presence_options options;
    const struct presence_ops *ops;
    void *arg;
    uint64_t now_ms;
    struct presence_refs refs;
    uint64_t seq;         /* of our last write, all topics together */
    uint64_t floor;       /* what we wrote before that was written again since */
    struct tk_map topics; /* the same as the list that begins with first_topic */
    struct tk_map nodes;
    struct presence_topic *first_topic;
    struct presence_node *first_node;
    struct presence_topic *first_due, *last_due;
    struct presence_topic *first_read, *last_read; /* waiting for a read */
    uint32_t reads_in_flight;
    uint64_t read_id;
    bool is_linked;
    bool is_alone;           /* the link is down for so long that others were given up */
    uint64_t link_change_ms; /* when it came up, or went down */
    uint64_t polled_ms;
    struct presence_stats stats;
    struct tk_buf diff;
    struct tk_buf text;
    struct presence_delta *delta;
};

void presence_init(struct presence *p, const struct presence_options *options,
                   const struct presence_ops *ops, void *arg, uint64_t now_ms);
void presence_fini(struct presence *p);

/*
 * Topics with members here. open: for the first who wants to join; on_ready follows, at once (but
 * not before this returns... see presence_is_ready) when there is nobody to ask.
 */
struct presence_topic *presence_open(struct presence *p, struct tk_slice topic, void *owner);
void presence_close(struct presence_topic *t);

bool presence_is_ready(const struct presence_topic *t);
void *presence_owner(const struct presence_topic *t); /* NULL while closed */
struct tk_slice presence_topic_name(const struct presence_topic *t);
uint32_t presence_count(const struct presence_topic *t); /* users that members know of */
/* Appends the state that members know (C108). */
void presence_write_state(const struct presence_topic *t, struct tk_buf *out);
/* A place for the state's encoded bytes, emptied when the state changes. */
struct frame **presence_state_cache(struct presence_topic *t);

/*
 * Our own entries. person->client: from presence_meta_take. The entry is the caller's to end, by
 * untrack or keep, before the topic is closed.
 */
struct presence_person {
    struct tk_slice key;
    struct tk_slice nickname; /* ptr NULL: null */
    uint64_t online_at;       /* seconds since 1970 */
    struct tk_slice client;
};

/* TK_ELIMIT: the key or the topic has too many. wall_ms: now, since 1970. */
enum tk_err presence_track(struct presence_topic *t, const struct presence_person *person,
                           uint64_t wall_ms, struct presence_entry **entry) TK_MUST_CHECK;
/* Replaces the meta; returns the entry that stands for it now (C111, C112). */
struct presence_entry *presence_update(struct presence_topic *t, struct presence_entry *entry,
                                       const struct presence_person *person, uint64_t wall_ms);
void presence_untrack(struct presence_topic *t, struct presence_entry *entry);
/* The client was sent away to come back elsewhere (C129); the entry is not the caller's any more.
 */
void presence_keep(struct presence_topic *t, struct presence_entry *entry);

/* Before the end: writes what has not been written. Returns how many entries are kept. */
size_t presence_drain(struct presence *p);

/*
 * Time. tick may come at any time; next_ms is when it must (UINT64_MAX: no batch waits), and it
 * must come every PRESENCE_POLL_MS besides.
 */
#define PRESENCE_POLL_MS 500
void presence_tick(struct presence *p, uint64_t now_ms);
uint64_t presence_next_ms(const struct presence *p);

/* The store. up: everything subscribed to is subscribed again. */
void presence_on_link_up(struct presence *p);
void presence_on_link_down(struct presence *p);
/* The store forgot us, or all of it: everything of ours is written again. */
void presence_on_lease_lost(struct presence *p);
void presence_on_subscribed(struct presence *p, struct tk_slice topic);
void presence_on_delta(struct presence *p, struct tk_slice topic, struct tk_slice text);
void presence_on_written(struct presence *p, struct tk_slice topic, uint64_t seq, bool ok);
void presence_on_expired(struct presence *p, struct tk_slice topic);

/* floor: presence.floor of that node when it took its lease. */
void presence_on_lease(struct presence *p, struct tk_slice id, bool is_alive, uint64_t floor);

/*
 * An answer to ops->read: all numbers first, then entries in any order, any number of times, then
 * the end; with only_seqs the numbers, then how many entries there are. What belongs to a read that
 * is not wanted any more is ignored.
 */
void presence_on_read_seq(struct presence *p, struct tk_slice topic, uint64_t id,
                          struct tk_slice node, struct tk_slice text);
/* field: "<node>|<ref>" */
void presence_on_read_entry(struct presence *p, struct tk_slice topic, uint64_t id,
                            struct tk_slice field, struct tk_slice text);
void presence_on_read_count(struct presence *p, struct tk_slice topic, uint64_t id,
                            uint64_t entries);
void presence_on_read_end(struct presence *p, struct tk_slice topic, uint64_t id, bool ok);

/* News of a node. replaces: older incarnations of it are dead, unless they are draining (C128). */
enum presence_news { PRESENCE_NODE_UP, PRESENCE_NODE_DRAINING, PRESENCE_NODE_GONE };
void presence_on_node(struct presence *p, struct tk_slice id, enum presence_news news,
                      bool replaces);
