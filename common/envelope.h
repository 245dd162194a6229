/* SPDX-License-Identifier: MIT */
/* clang-format off */
/*
 * The Redis link: what brokers, tako-api, takoctl and anybody else with a Redis client say to each
 * other. This header is the reference; the README shows it for users.
 *
 *   channel              message
 *   tako:topic:<topic>   [origin, id, topic, event, payload] as JSON: the layout of a V2 frame (C31).
 *                        origin: node id of the publishing broker, or null; a broker ignores its own.
 *                        id: the publisher's sequence number as a string, or null; for tracing only.
 *                        payload: an object (C27). A payload that is binary travels as a V2 binary
 *                        push (C35, kind 0) whose join_ref is the origin and whose ref is the id.
 *   tako:users           {"event":E,"id":UUID,...}, E one of
 *                          created, updated  with "nickname" (string or null) and
 *                                            "stamps_collected" (number or null)
 *                          deleted           the user is gone; his connections are closed
 *                          disconnect        close his connections (1001), the user stays
 *   tako:nodes           {"node":id,"state":"up"|"draining"|"gone"}; news only, the keys below are
 *                        the truth. "replaces":true with "up": the worker has just started, and
 *                        older incarnations of its name are dead unless they drain (C128)
 *   tako:presence:<topic>  ["node",prev,seq,[entry,...],["ref",...]]: what has changed in one node's
 *                        part of the topic. prev: the number of its change before this one, 0 when
 *                        the entries are all it has there. entry: [seq,"ref","key",since_ms,kept,meta]
 *   tako:probe:<node>    a broker's message to itself; shows that its subscription is alive
 *
 *   key                  value
 *   tako:node:<node>     hash of what a broker worker says of itself, under a lease (expires by
 *                        itself): broker, worker, pid, port, version, incarnation, state,
 *                        connections, topics, queue_peak (bytes that waited for one client at most),
 *                        redis_peak (bytes that waited for Redis at most), handshakes_peak
 *                        (connections without a websocket at a time), lookups_peak (of them, those
 *                        whose user was being looked up), statements (to PostgreSQL), refused
 *                        (upgrades), lease (its length in ms),
 *                        floor (its presence entries with a smaller number are void)
 *   tako:node-names      hash "<broker>/<worker>" -> node: who bears the name at present; expires
 *                        with the last lease
 *   tako:presence:<topic>       hash "<node>|<ref>" -> entry: who is present there, all nodes
 *   tako:presence-seqs:<topic>  hash node -> number of its last change there
 *                        Both expire by themselves when no node renews them.
 *
 * A complete publish from a shell:
 *   redis-cli PUBLISH tako:topic:notifications '[null,null,"notifications","shout",{"hi":"all"}]'
 */
/* clang-format on */
#pragma once

#include "common/tk_base.h"
#include "common/tk_buf.h"
#include "common/tk_uuid.h"

#define TK_CHANNEL_TOPIC_PREFIX     "tako:topic:"
#define TK_CHANNEL_USERS            "tako:users"
#define TK_CHANNEL_NODES            "tako:nodes"
#define TK_CHANNEL_PROBE_PREFIX     "tako:probe:"
#define TK_CHANNEL_PRESENCE_PREFIX  "tako:presence:"
#define TK_KEY_NODE_PREFIX          "tako:node:"
#define TK_KEY_NODE_NAMES           "tako:node-names"
#define TK_KEY_PRESENCE_PREFIX      "tako:presence:"
#define TK_KEY_PRESENCE_SEQS_PREFIX "tako:presence-seqs:"

#define TK_TOPIC_MAX 255 /* bytes in a topic or an event name (C40, C185) */

/*
 * Appends a text envelope. payload must be a valid JSON object already; origin and id are NULL for
 * null. topic and event are written as JSON strings.
 */
void tk_envelope_write(struct tk_buf *out, const char *origin, const char *id,
                       struct tk_slice topic, struct tk_slice event, struct tk_slice payload);

/*
 * Appends a binary envelope, NULL written as length 0 (C37). origin, id, topic and event have at
 * most 255 bytes each.
 */
void tk_envelope_write_binary(struct tk_buf *out, const char *origin, const char *id,
                              struct tk_slice topic, struct tk_slice event,
                              struct tk_slice payload);

enum tk_user_event_kind {
    TK_USER_CREATED,
    TK_USER_UPDATED,
    TK_USER_DELETED,
    TK_USER_DISCONNECT,
};

/* nickname.ptr is NULL for null. Slices are borrowed; those of parse point into text or scratch. */
struct tk_user_event {
    enum tk_user_event_kind kind;
    struct tk_uuid id;
    struct tk_slice nickname;
    bool has_stamps;
    int64_t stamps_collected;
};

void tk_user_event_write(struct tk_buf *out, const struct tk_user_event *event);

#define TK_USER_EVENT_MAX 65536 /* bytes; a longer message is refused unread */

/*
 * TK_ESYNTAX or TK_EINVAL for anything that is not one of the four; unknown members are ignored.
 * scratch is cleared first.
 */
enum tk_err tk_user_event_parse(struct tk_slice text, struct tk_buf *scratch,
                                struct tk_user_event *event) TK_MUST_CHECK;
