/* SPDX-License-Identifier: MIT */
/*
 * A message ready for the wire: websocket header and payload in one immutable, reference-counted
 * allocation. A broadcast is one frame (per serializer) that every member's queue refers to.
 *
 * A payload of more than FRAME_WHOLE_MAX bytes stands there as fragments (RFC 6455, 5.4), each of
 * exactly FRAME_PIECE bytes with its header but the last: so that a client can be given as much of
 * it as its socket takes, while the rest stays where everybody shares it.
 */
#pragma once

#include "common/tk_base.h"

#define FRAME_WHOLE_MAX 65536 /* bytes of payload in one piece */
#define FRAME_PIECE     16384 /* bytes of a fragment, header included */

struct frame {
    uint32_t refs;
    uint32_t len; /* headers and payload */
    bool is_pieced;
    unsigned char bytes[];
};

enum ws_opcode { WS_TEXT = 1, WS_BINARY = 2, WS_CLOSE = 8, WS_PING = 9, WS_PONG = 10 };

/* RFC 6455, 7.4.1, as far as tako sends them (C83: never 1000 first). */
enum close_code {
    CLOSE_GOING_AWAY = 1001, /* idle, disconnect, too slow */
    CLOSE_PROTOCOL_ERROR = 1002,
    CLOSE_BAD_UTF8 = 1007,
    CLOSE_POLICY = 1008, /* over a rate limit */
    CLOSE_TOO_BIG = 1009,
    CLOSE_INTERNAL = 1011,        /* malformed message, our failure */
    CLOSE_SERVICE_RESTART = 1012, /* drain */
};

/* Copies payload behind an unmasked, final websocket header (RFC 6455, 5.2). One reference, the
 * caller's. */
struct frame *frame_new(enum ws_opcode opcode, struct tk_slice payload);

/* As frame_new, the payload being the parts one behind the other. */
struct frame *frame_join(enum ws_opcode opcode, const struct tk_slice *parts, size_t count);

/*
 * A text message in parts, so that several can share the middle: FIRST, any number of MIDDLE, LAST.
 * The receiver sees one message; whoever sends them keeps them together.
 */
enum frame_part { FRAME_FIRST, FRAME_MIDDLE, FRAME_LAST };
struct frame *frame_of_message(enum frame_part part, struct tk_slice payload);

static inline struct frame *frame_ref(struct frame *f)
{
    f->refs++;
    return f;
}

void frame_unref(struct frame *f); /* NULL is fine */
