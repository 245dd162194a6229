/* SPDX-License-Identifier: MIT */
/*
 * The Phoenix serializers (C24-C40): V1 objects, V2 arrays, V2 binary frames. Decoding slices the
 * input and builds no tree; a payload is carried as the bytes that were sent (C29).
 * Not here: what a message means (phx_socket) and websocket framing (frame, ws_transport).
 */
#pragma once

#include "broker/websocket/frame.h"
#include "common/tk_buf.h"
#include "common/tk_json.h"

enum phx_vsn { PHX_V1, PHX_V2 };
#define PHX_VSN_COUNT 2

/* A ref or join_ref: the JSON token as sent, quotes included; empty for null (C25). */
struct phx_ref {
    struct tk_slice json;
};

static inline bool phx_ref_is_null(struct phx_ref ref)
{
    return ref.json.len == 0;
}

static inline bool phx_ref_eq(struct phx_ref a, struct phx_ref b)
{
    return tk_slice_eq(a.json, b.json);
}

#define PHX_REF_MAX 255 /* bytes of the JSON token; longer is malformed (C25) */

struct phx_payload {
    enum tk_json_type type; /* TK_JSON_NONE when binary */
    bool is_binary;
    struct tk_slice bytes; /* valid JSON, or the binary bytes */
};

struct phx_msg {
    struct phx_ref join_ref;
    struct phx_ref ref;
    struct tk_slice topic; /* text; when topic_is_string is false: the JSON value as sent */
    bool topic_is_string;
    struct tk_slice event; /* text; a non-string event is malformed */
    struct phx_payload payload;
};

/*
 * One websocket message. Slices in msg point into bytes or into scratch, which is cleared first, so
 * one scratch serves one message at a time. TK_ESYNTAX for anything malformed (C28, C30-C32, C38).
 * V1 ignores is_binary (C32).
 */
enum tk_err phx_decode(enum phx_vsn vsn, bool is_binary, struct tk_slice bytes,
                       struct tk_buf *scratch, struct phx_msg *msg) TK_MUST_CHECK;

/*
 * Server frames, one per row of C63. topic is text (or the JSON value as sent, see phx_msg). out is
 * a scratch buffer, cleared first. The result has one reference, the caller's. NULL when this
 * serializer cannot carry the message: binary to V1 (C34), binary with a topic, event or status of
 * more than 255 bytes (C40), and a push or broadcast that is neither an object nor binary (C27).
 */
struct phx_topic {
    struct tk_slice bytes;
    bool is_json; /* bytes are a JSON value already */
};

struct frame *phx_encode_reply(enum phx_vsn vsn, struct tk_buf *out, struct phx_ref join_ref,
                               struct phx_ref ref, struct phx_topic topic, struct tk_slice status,
                               const struct phx_payload *response);

/* A push (C76): join_ref set, ref null. payload must be an object or binary. */
struct frame *phx_encode_push(enum phx_vsn vsn, struct tk_buf *out, struct phx_ref join_ref,
                              struct tk_slice topic, struct tk_slice event,
                              const struct phx_payload *payload);

/*
 * What stands before and behind an object in a push of it, as first and last part of one message,
 * so that many pushes share the object's bytes between (FRAME_MIDDLE). The references are the
 * caller's.
 */
struct phx_around {
    struct frame *first, *last;
};
struct phx_around phx_encode_push_around(enum phx_vsn vsn, struct tk_buf *out,
                                         struct phx_ref join_ref, struct tk_slice topic,
                                         struct tk_slice event);

/* A broadcast (C75): both refs null. */
struct frame *phx_encode_broadcast(enum phx_vsn vsn, struct tk_buf *out, struct tk_slice topic,
                                   struct tk_slice event, const struct phx_payload *payload);

/* phx_close and phx_error (C58, C61): the join's join_ref twice. payload is an object's JSON text.
 */
struct frame *phx_encode_end(enum phx_vsn vsn, struct tk_buf *out, struct phx_ref join_ref,
                             struct tk_slice topic, struct tk_slice event, struct tk_slice payload);
