/* SPDX-License-Identifier: MIT */
/*
 * Client messages into slices. One pass over the text; scratch is touched only for a topic or event
 * with escapes and for the refs of binary frames, which become JSON tokens here so that nothing
 * above knows two kinds of ref.
 * Invariant: a ref that leaves this file is at most PHX_REF_MAX bytes of valid JSON.
 */
#include "broker/phoenix/phx_codec.h"

#define MAX_DEPTH 128

static const struct tk_json_rules frame_rules = {
    .max_depth = MAX_DEPTH,
    .refuse_huge_numbers = true,
};

/* In the order of a V2 array. */
enum member { JOIN_REF, REF, TOPIC, EVENT, PAYLOAD, MEMBER_COUNT };

static enum tk_err read_ref(const struct tk_json_value *value, struct phx_ref *ref)
{
    switch (value->type) {
    case TK_JSON_NONE: /* V1 without join_ref */
    case TK_JSON_NULL:
        ref->json = tk_slice(NULL, 0);
        return TK_OK;
    case TK_JSON_STRING:
    case TK_JSON_NUMBER:
        ref->json = value->raw;
        return value->raw.len <= PHX_REF_MAX ? TK_OK : TK_ESYNTAX;
    default:
        return TK_ESYNTAX;
    }
}

static void read_topic(const struct tk_json_value *value, struct tk_buf *scratch,
                       struct phx_msg *msg)
{
    msg->topic_is_string = value->type == TK_JSON_STRING;
    msg->topic = msg->topic_is_string ? tk_json_string_text(value, scratch) : value->raw;
}

static enum tk_err read_members(const struct tk_json_value *const values[MEMBER_COUNT],
                                struct tk_buf *scratch, struct phx_msg *msg)
{
    const struct tk_json_value *topic = values[TOPIC], *event = values[EVENT];
    if (event->type != TK_JSON_STRING || read_ref(values[JOIN_REF], &msg->join_ref) ||
        read_ref(values[REF], &msg->ref))
        return TK_ESYNTAX;
    if (topic->has_escapes || event->has_escapes)
        tk_buf_reserve(scratch, topic->raw.len + event->raw.len); /* it must not move in between */
    read_topic(topic, scratch, msg);
    msg->event = tk_json_string_text(event, scratch);
    msg->payload = (struct phx_payload){
        .type = values[PAYLOAD]->type,
        .bytes = values[PAYLOAD]->raw,
    };
    return TK_OK;
}

static enum tk_err decode_v2_text(struct tk_slice text, struct tk_buf *scratch, struct phx_msg *msg)
{
    struct tk_json_value items[MEMBER_COUNT];
    const struct tk_json_value *values[MEMBER_COUNT];
    size_t count;
    if (tk_json_scan_array(text, &frame_rules, items, MEMBER_COUNT, &count) || count < MEMBER_COUNT)
        return TK_ESYNTAX;
    for (size_t i = 0; i < MEMBER_COUNT; i++)
        values[i] = &items[i];
    return read_members(values, scratch, msg);
}

static enum tk_err decode_v1(struct tk_slice text, struct tk_buf *scratch, struct phx_msg *msg)
{
    struct tk_json_field fields[MEMBER_COUNT] = {
        [JOIN_REF] = {.name = "join_ref"}, [REF] = {.name = "ref"},
        [TOPIC] = {.name = "topic"},       [EVENT] = {.name = "event"},
        [PAYLOAD] = {.name = "payload"},
    };
    const struct tk_json_value *values[MEMBER_COUNT];
    if (tk_json_scan_object(text, &frame_rules, fields, MEMBER_COUNT))
        return TK_ESYNTAX;
    for (size_t i = 0; i < MEMBER_COUNT; i++) {
        values[i] = &fields[i].value;
        if (values[i]->type == TK_JSON_NONE && i != JOIN_REF)
            return TK_ESYNTAX;
    }
    return read_members(values, scratch, msg);
}

static struct tk_slice take(struct tk_slice *rest, size_t len)
{
    struct tk_slice taken = tk_slice(rest->ptr, len);
    *rest = tk_slice(rest->ptr + len, rest->len - len);
    return taken;
}

/* Six bytes for one, and the quotes: the longest token that a ref of len bytes can become. */
#define TOKEN_MAX(len) (6 * (len) + 2)

/* An empty ref is the empty string, not null (C37). */
static enum tk_err write_ref(struct tk_slice text, struct tk_buf *scratch, struct phx_ref *ref)
{
    size_t start = scratch->len;
    tk_json_write_string(scratch, text);
    ref->json = tk_slice(scratch->data + start, scratch->len - start);
    return ref->json.len <= PHX_REF_MAX ? TK_OK : TK_ESYNTAX;
}

/* Kind 0 (C35): the lengths of join_ref, ref, topic and event, these four, then the payload. */
static enum tk_err decode_v2_binary(struct tk_slice bytes, struct tk_buf *scratch,
                                    struct phx_msg *msg)
{
    enum { KIND_PUSH = 0, HEADER_LEN = 1 + PAYLOAD };
    struct tk_slice strings[PAYLOAD];
    struct tk_slice rest = bytes;
    if (bytes.len < HEADER_LEN || take(&rest, HEADER_LEN).ptr[0] != KIND_PUSH)
        return TK_ESYNTAX;
    for (size_t i = 0; i < PAYLOAD; i++) {
        size_t len = (unsigned char)bytes.ptr[1 + i];
        if (len > rest.len)
            return TK_ESYNTAX;
        strings[i] = take(&rest, len);
        if (!tk_utf8_valid(strings[i]))
            return TK_ESYNTAX;
    }
    tk_buf_reserve(scratch, TOKEN_MAX(strings[JOIN_REF].len) + TOKEN_MAX(strings[REF].len));
    if (write_ref(strings[JOIN_REF], scratch, &msg->join_ref) ||
        write_ref(strings[REF], scratch, &msg->ref))
        return TK_ESYNTAX;
    msg->topic = strings[TOPIC];
    msg->topic_is_string = true;
    msg->event = strings[EVENT];
    msg->payload = (struct phx_payload){.is_binary = true, .bytes = rest};
    return TK_OK;
}

enum tk_err phx_decode(enum phx_vsn vsn, bool is_binary, struct tk_slice bytes,
                       struct tk_buf *scratch, struct phx_msg *msg)
{
    struct phx_msg decoded;
    enum tk_err err;
    tk_buf_clear(scratch);
    if (vsn == PHX_V1)
        err = decode_v1(bytes, scratch, &decoded);
    else if (is_binary)
        err = decode_v2_binary(bytes, scratch, &decoded);
    else
        err = decode_v2_text(bytes, scratch, &decoded);
    if (!err)
        *msg = decoded;
    return err;
}
