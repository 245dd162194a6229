/* SPDX-License-Identifier: MIT */
/*
 * Any bytes as a message of a client. The first byte chooses serializer and opcode, the rest is the
 * message. What decodes must keep the codec's promises, and what is encoded from it must decode to
 * the same again.
 */
#include <stdlib.h>

#include "broker/phoenix/phx_codec.h"

enum { IS_V1 = 1, IS_BINARY = 2 };

static struct tk_buf scratch, again_scratch, out;

static bool is_within(struct tk_slice s, struct tk_slice outer)
{
    return s.len == 0 || (s.ptr >= outer.ptr && s.ptr + s.len <= outer.ptr + outer.len);
}

static void check_slice(struct tk_slice s, struct tk_slice message)
{
    tk_assert(is_within(s, message) || is_within(s, tk_buf_slice(&scratch)));
}

static void check_ref(struct phx_ref ref, struct tk_slice message)
{
    static const struct tk_json_rules rules = {.max_depth = 1};
    struct tk_json_value value;
    check_slice(ref.json, message);
    tk_assert(ref.json.len <= PHX_REF_MAX);
    if (phx_ref_is_null(ref))
        return;
    tk_assert(tk_json_scan(ref.json, &rules, &value, NULL) == TK_OK);
    tk_assert(value.type == TK_JSON_STRING || value.type == TK_JSON_NUMBER);
}

static void check_message(const struct phx_msg *msg, struct tk_slice message)
{
    check_ref(msg->join_ref, message);
    check_ref(msg->ref, message);
    check_slice(msg->topic, message);
    check_slice(msg->event, message);
    tk_assert(is_within(msg->payload.bytes, message));
    tk_assert(tk_utf8_valid(msg->topic) && tk_utf8_valid(msg->event));
    tk_assert(msg->payload.is_binary == (msg->payload.type == TK_JSON_NONE));
}

/* A frame of ours without its websocket header. */
static struct tk_slice payload_of(const struct frame *f)
{
    size_t header_len = f->bytes[1] < 126 ? 2 : f->bytes[1] == 126 ? 4 : 10;
    return tk_slice((const char *)f->bytes + header_len, f->len - header_len);
}

/* A reply holds everything that a message has; V2 text of it is a V2 message itself. */
static void check_echo(const struct phx_msg *msg)
{
    struct phx_topic topic = {.bytes = msg->topic, .is_json = !msg->topic_is_string};
    struct phx_msg again;
    struct frame *f =
        phx_encode_reply(PHX_V2, &out, msg->join_ref, msg->ref, topic, msg->event, &msg->payload);
    if (msg->payload.is_binary) {
        tk_assert(f && f->bytes[0] == (0x80 | WS_BINARY));
    } else {
        tk_assert(f && f->bytes[0] == (0x80 | WS_TEXT));
        /* The reply nests the payload one level deeper than the message did. */
        if (phx_decode(PHX_V2, false, payload_of(f), &again_scratch, &again) == TK_OK) {
            tk_assert(phx_ref_eq(again.join_ref, msg->join_ref));
            tk_assert(phx_ref_eq(again.ref, msg->ref));
            tk_assert(again.topic_is_string == msg->topic_is_string);
            tk_assert(tk_slice_eq(again.topic, msg->topic));
            tk_assert(again.payload.bytes.len > msg->payload.bytes.len);
        }
    }
    frame_unref(f);
}

static void check_broadcast(const struct phx_msg *msg, enum phx_vsn vsn)
{
    struct phx_msg again;
    struct frame *f = phx_encode_broadcast(vsn, &out, msg->topic, msg->event, &msg->payload);
    if (msg->payload.is_binary) {
        tk_assert((f != NULL) == (vsn == PHX_V2));
    } else if (msg->payload.type != TK_JSON_OBJECT) {
        tk_assert(!f);
    } else {
        tk_assert(phx_decode(vsn, false, payload_of(f), &again_scratch, &again) == TK_OK);
        tk_assert(phx_ref_is_null(again.join_ref) && phx_ref_is_null(again.ref));
        tk_assert(tk_slice_eq(again.topic, msg->topic) && tk_slice_eq(again.event, msg->event));
        tk_assert(tk_slice_eq(again.payload.bytes, msg->payload.bytes));
    }
    frame_unref(f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    enum phx_vsn vsn = data[0] & IS_V1 ? PHX_V1 : PHX_V2;
    struct tk_slice message = tk_slice((const char *)data + 1, size - 1);
    struct phx_msg msg;
    if (phx_decode(vsn, data[0] & IS_BINARY, message, &scratch, &msg) != TK_OK)
        return 0;
    check_message(&msg, message);
    check_echo(&msg);
    if (msg.topic_is_string) {
        check_broadcast(&msg, PHX_V1);
        check_broadcast(&msg, PHX_V2);
    }
    return 0;
}
