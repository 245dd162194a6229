/* SPDX-License-Identifier: MIT */
/*
 * One client: from the accepted upgrade to the end of the connection. The session owns the client's
 * outgoing queue, puts fragments together, watches for silence, and carries the client's channels.
 *
 * Life: open -> closing (close frame on its way, channels ended) -> closed (transport gone).
 * Closing only marks and queues; the memory goes at the end of the turn in which the transport
 * went.
 */
#pragma once

#include "broker/phoenix/phx_codec.h"
#include "broker/rate_limit.h"
#include "broker/timer_wheel.h"
#include "broker/websocket/out_queue.h"
#include "broker/websocket/transport.h"
#include "common/tk_buf.h"

struct address_use;
struct broker;
struct channel;
struct online_user;
struct tk_uuid;

enum session_state { SESSION_OPEN, SESSION_CLOSING, SESSION_CLOSED };

/* A broadcast needs what comes before channels: see session_prefetch. */
struct session {
    struct out_queue out;
    struct broker *broker;
    struct transport *transport; /* NULL once closed */
    uint8_t state;               /* enum session_state */
    uint8_t vsn;                 /* enum phx_vsn */
    bool is_dirty;               /* among the sessions to flush at the turn's end */
    bool is_doomed;              /* on the list of sessions to close at the turn's end */
    uint16_t doom_code;
    uint16_t channel_count;

    struct channel *channels;
    const struct transport_ops *ops;
    struct tk_buf *partial; /* fragments of an unfinished message */
    struct session *next_doomed;
    struct session *prev, *next;           /* all sessions of the broker */
    struct session *user_prev, *user_next; /* all sessions of the user */
    struct online_user *user;
    struct address_use *address; /* given back when the session closes */
    uint64_t last_life_ms;
    struct rate_limit messages, joins;
    struct timer timer; /* open: silence; closing: the client's close frame is overdue */
};

struct session_list {
    struct session *first;
    size_t count;
    struct session **dirty; /* each once, in the order in which they got something to write */
    size_t dirty_count, dirty_cap;
    struct session *doomed;
    struct session *dead;
};

/*
 * Begins to fetch what sending needs: 64 bytes, which malloc lays across two cache lines. A macro,
 * because gcc drops calls of functions that only prefetch.
 */
#define session_prefetch(s)                                                                        \
    do {                                                                                           \
        __builtin_prefetch((s), 1);                                                                \
        __builtin_prefetch(&(s)->channel_count, 1);                                                \
    } while (0)

/* A client whose upgrade was accepted. nickname may be NULL. */
struct session *session_open(struct broker *b, enum phx_vsn vsn, const struct tk_uuid *user,
                             const char *nickname, const struct transport_ops *ops,
                             struct transport *transport);

/*
 * Queues a frame (referenced). A client over its budget is closed with 1001 at the end of the turn,
 * so that nobody's list changes while a broadcast walks it. Does nothing unless open.
 */
void session_send(struct session *s, struct frame *frame);

/* The parts of one message (frame_of_message): all of them or, over the budget, none. */
void session_send_group(struct session *s, struct frame *const *frames, size_t count);

/* As session_send, taking the caller's reference; frame may be NULL (nothing to send). */
void session_send_take(struct session *s, struct frame *frame);

/*
 * Ends every channel silently (C62), then closes with this code after the frames already queued.
 * reason is short text for the client's log, or NULL. Safe to repeat. Not while walking members:
 * see session_close_later.
 */
void session_close(struct session *s, enum close_code code, const char *reason);

/* session_close at the end of the turn: for callers that may be inside a walk over sessions. */
void session_close_later(struct session *s, enum close_code code);

/*
 * From the transport. Anything that a client sends is a sign of life, pings included (C19). A
 * message comes in one piece or several; a violation of RFC 6455 comes as session_close.
 */
void session_on_life(struct session *s);
struct session_data {
    struct tk_slice bytes;
    bool is_first, is_final; /* of the message */
    bool is_binary;
    size_t remaining; /* known to follow in the present frame */
};
void session_on_data(struct session *s, const struct session_data *data);
void session_on_ping(struct session *s, struct tk_slice payload); /* C21 */
void session_on_writable(struct session *s);
/* The client closes: what waits goes out, then the answer with this code (C23). */
void session_on_peer_close(struct session *s, uint16_t code);
void session_on_closed(struct session *s); /* the transport is gone */

/* From the broker: its own end, the end of the turn, and the session's timer. */
void sessions_fini(struct session_list *list);
void sessions_end_turn(struct broker *b);
void session_on_timer(struct session *s);
