/* SPDX-License-Identifier: MIT */
/* The broker workers, as each describes itself in Redis under tako:node:* (common/envelope.h). */
#pragma once

#include "common/takoctl/takoctl.h"

enum node_field {
    NODE_BROKER,
    NODE_WORKER,
    NODE_PID,
    NODE_PORT,
    NODE_STATE,
    NODE_CONNECTIONS,
    NODE_TOPICS,
    NODE_VERSION,
    NODE_INCARNATION,
    NODE_QUEUE_PEAK,
    NODE_REDIS_PEAK,
    NODE_HANDSHAKES_PEAK,
    NODE_LOOKUPS_PEAK,
    NODE_STATEMENTS,
    NODE_REFUSED,
    NODE_LEASE,
    NODE_FIELDS,
};

struct node_field_kind {
    const char *name; /* in the hash */
    bool is_number;
};
extern const struct node_field_kind node_field_kinds[NODE_FIELDS];

/* Anybody with Redis can write these: text may hold any bytes. */
struct node_entry {
    struct tk_slice id; /* owned, as are the texts; ptr is NULL for a field that is missing */
    struct tk_slice text[NODE_FIELDS];
    int64_t number[NODE_FIELDS]; /* -1: missing, or not a whole number */
    int64_t lease_ms;            /* until it vanishes by itself; -1: it has no lease */
};

struct node_list {
    struct node_entry **items; /* by broker, worker and id */
    size_t count;
};

/* Reads them all, within bounds of time and number. NULL: the operator has been told why. */
struct node_list *node_list_read(const struct ctl *ctl);
void node_list_free(struct node_list *list);

/* How long ago, in ms, the node has renewed its lease; -1: not known. */
int64_t node_entry_age_ms(const struct node_entry *node);
