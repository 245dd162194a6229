/* SPDX-License-Identifier: MIT */
/*
 * Presence as text in Redis: entries and deltas (common/envelope.h has the formats). What is parsed
 * may come from anybody: it is bounded and checked to the last byte (C174).
 */
#pragma once

#include "broker/presence/presence_set.h"

#define PRESENCE_DELTA_MAX 512 /* joins, and leaves, of one delta */
#define PRESENCE_META_MAX  ((size_t)64 * 1024)
#define PRESENCE_NODE_MAX  160 /* bytes of a node id */

/* [stamp,"ref","key",at_ms,kept,meta] */
void presence_wire_entry(struct tk_buf *out, uint64_t stamp, const struct presence_record *record);
enum tk_err presence_wire_parse_entry(struct tk_slice text, uint64_t *stamp,
                                      struct presence_record *record) TK_MUST_CHECK;

/*
 * ["node",prev,seq,[entry,...],["ref",...]]. prev is the number of the node's delta before this one
 * on the topic: what a receiver must have to apply it. 0: the joins are everything the node has
 * there. prev == seq: too much for a delta, read the store.
 */
struct presence_delta {
    struct tk_slice node;
    uint64_t prev, seq;
    size_t join_count, leave_count;
    struct presence_record joins[PRESENCE_DELTA_MAX];
    uint64_t stamps[PRESENCE_DELTA_MAX];
    struct tk_slice leaves[PRESENCE_DELTA_MAX];
    struct tk_buf scratch;
};

/* entries: texts of presence_wire_entry. leaves: refs. */
void presence_wire_delta(struct tk_buf *out, struct tk_slice node, uint64_t prev, uint64_t seq,
                         const struct tk_slice *entries, size_t entry_count,
                         const struct tk_slice *leaves, size_t leave_count);

/* Slices point into text and into delta->scratch. */
enum tk_err presence_wire_parse_delta(struct tk_slice text,
                                      struct presence_delta *delta) TK_MUST_CHECK;

/* A decimal number and nothing else. */
enum tk_err presence_wire_parse_number(struct tk_slice text, uint64_t *number) TK_MUST_CHECK;
