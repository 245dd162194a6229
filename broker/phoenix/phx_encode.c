/* SPDX-License-Identifier: MIT */
/*
 * Server frames. What surrounds a payload is written into the scratch buffer; the payload itself is
 * copied once, from where it lies into the frame. V1 objects have their members in Phoenix's order.
 */
#include "broker/phoenix/phx_codec.h"

#define BINARY_FIELD_MAX 255

static const struct phx_ref no_ref;

/* What every server frame has besides its payload. */
struct envelope {
    struct phx_ref join_ref;
    struct phx_ref ref;
    struct phx_topic topic;
    struct tk_slice event;
};

/*
 * Text
 */

static void put_ref(struct tk_buf *out, struct phx_ref ref)
{
    if (phx_ref_is_null(ref))
        tk_buf_append_str(out, "null");
    else
        tk_buf_append_slice(out, ref.json);
}

static void put_topic(struct tk_buf *out, struct phx_topic topic)
{
    if (topic.is_json)
        tk_buf_append_slice(out, topic.bytes);
    else
        tk_json_write_string(out, topic.bytes);
}

/* Everything before the payload. */
static void put_head(enum phx_vsn vsn, struct tk_buf *out, const struct envelope *e)
{
    tk_buf_clear(out);
    if (vsn == PHX_V1) {
        tk_buf_append_str(out, "{\"event\":");
        tk_json_write_string(out, e->event);
        tk_buf_append_str(out, ",\"payload\":");
        return;
    }
    tk_buf_append_char(out, '[');
    put_ref(out, e->join_ref);
    tk_buf_append_char(out, ',');
    put_ref(out, e->ref);
    tk_buf_append_char(out, ',');
    put_topic(out, e->topic);
    tk_buf_append_char(out, ',');
    tk_json_write_string(out, e->event);
    tk_buf_append_char(out, ',');
}

/* Everything behind it. */
static void put_tail(enum phx_vsn vsn, struct tk_buf *out, const struct envelope *e)
{
    if (vsn == PHX_V1) {
        tk_buf_append_str(out, ",\"ref\":");
        put_ref(out, e->ref);
        tk_buf_append_str(out, ",\"topic\":");
        put_topic(out, e->topic);
        tk_buf_append_char(out, '}');
    } else {
        tk_buf_append_char(out, ']');
    }
}

/* The payload goes between the first head_len bytes of out and the others. */
static struct frame *text_frame(const struct tk_buf *out, size_t head_len, struct tk_slice payload)
{
    const struct tk_slice parts[] = {
        tk_slice(out->data, head_len),
        payload,
        tk_slice(out->data + head_len, out->len - head_len),
    };
    return frame_join(WS_TEXT, parts, TK_ARRAY_LEN(parts));
}

static struct frame *encode_text(enum phx_vsn vsn, struct tk_buf *out, const struct envelope *e,
                                 struct tk_slice payload)
{
    put_head(vsn, out, e);
    size_t head_len = out->len;
    put_tail(vsn, out, e);
    return text_frame(out, head_len, payload);
}

static struct frame *encode_text_reply(enum phx_vsn vsn, struct tk_buf *out,
                                       const struct envelope *e, struct tk_slice status,
                                       struct tk_slice response)
{
    put_head(vsn, out, e);
    tk_buf_append_str(out, "{\"response\":");
    size_t head_len = out->len;
    tk_buf_append_str(out, ",\"status\":");
    tk_json_write_string(out, status);
    tk_buf_append_char(out, '}');
    put_tail(vsn, out, e);
    return text_frame(out, head_len, response);
}

/*
 * V2 binary (C35): kind, a length for each field, the fields, the payload. Lengths are filled in
 * when their field is written.
 */

enum binary_kind { KIND_PUSH, KIND_REPLY, KIND_BROADCAST };

static void begin_binary(struct tk_buf *out, enum binary_kind kind, size_t field_count)
{
    tk_buf_clear(out);
    tk_buf_append_char(out, (char)kind);
    memset(tk_buf_reserve(out, field_count), 0, field_count);
    out->len += field_count;
}

/* What was written from start on is the field. False: longer than a length byte can say. */
static bool end_field(struct tk_buf *out, size_t index, size_t start)
{
    size_t len = out->len - start;
    out->data[1 + index] = (char)len;
    return len <= BINARY_FIELD_MAX;
}

static bool put_text_field(struct tk_buf *out, size_t index, struct tk_slice text)
{
    size_t start = out->len;
    tk_buf_append_slice(out, text);
    return end_field(out, index, start);
}

/* A string as its text, a number as its digits, null as nothing (C37). */
static bool put_ref_field(struct tk_buf *out, size_t index, struct phx_ref ref)
{
    size_t start = out->len;
    if (!phx_ref_is_null(ref) && ref.json.ptr[0] == '"') {
        struct tk_json_value string = {.type = TK_JSON_STRING, .raw = ref.json};
        tk_json_string_decode(&string, out);
    } else {
        tk_buf_append_slice(out, ref.json);
    }
    return end_field(out, index, start);
}

static struct frame *binary_frame(const struct tk_buf *out, struct tk_slice payload)
{
    const struct tk_slice parts[] = {tk_buf_slice(out), payload};
    return frame_join(WS_BINARY, parts, TK_ARRAY_LEN(parts));
}

static struct frame *encode_binary_reply(struct tk_buf *out, const struct envelope *e,
                                         struct tk_slice status, struct tk_slice response)
{
    begin_binary(out, KIND_REPLY, 4);
    bool fits = put_ref_field(out, 0, e->join_ref) && put_ref_field(out, 1, e->ref) &&
                put_text_field(out, 2, e->topic.bytes) && put_text_field(out, 3, status);
    return fits ? binary_frame(out, response) : NULL;
}

/* Server to client it has no ref. */
static struct frame *encode_binary_push(struct tk_buf *out, const struct envelope *e,
                                        struct tk_slice payload)
{
    begin_binary(out, KIND_PUSH, 3);
    bool fits = put_ref_field(out, 0, e->join_ref) && put_text_field(out, 1, e->topic.bytes) &&
                put_text_field(out, 2, e->event);
    return fits ? binary_frame(out, payload) : NULL;
}

static struct frame *encode_binary_broadcast(struct tk_buf *out, const struct envelope *e,
                                             struct tk_slice payload)
{
    begin_binary(out, KIND_BROADCAST, 2);
    bool fits = put_text_field(out, 0, e->topic.bytes) && put_text_field(out, 1, e->event);
    return fits ? binary_frame(out, payload) : NULL;
}

/*
 * One function per row of C63
 */

/* Binary needs V2 (C34), and a topic that is text. */
static bool can_be_binary(enum phx_vsn vsn, struct phx_topic topic)
{
    return vsn == PHX_V2 && !topic.is_json;
}

struct frame *phx_encode_reply(enum phx_vsn vsn, struct tk_buf *out, struct phx_ref join_ref,
                               struct phx_ref ref, struct phx_topic topic, struct tk_slice status,
                               const struct phx_payload *response)
{
    const struct envelope e = {join_ref, ref, topic, TK_SLICE("phx_reply")};
    if (!response->is_binary)
        return encode_text_reply(vsn, out, &e, status, response->bytes);
    if (!can_be_binary(vsn, topic))
        return NULL;
    return encode_binary_reply(out, &e, status, response->bytes);
}

struct frame *phx_encode_push(enum phx_vsn vsn, struct tk_buf *out, struct phx_ref join_ref,
                              struct tk_slice topic, struct tk_slice event,
                              const struct phx_payload *payload)
{
    const struct envelope e = {join_ref, no_ref, {.bytes = topic}, event};
    if (payload->is_binary)
        return can_be_binary(vsn, e.topic) ? encode_binary_push(out, &e, payload->bytes) : NULL;
    if (payload->type != TK_JSON_OBJECT)
        return NULL;
    return encode_text(vsn, out, &e, payload->bytes);
}

struct phx_around phx_encode_push_around(enum phx_vsn vsn, struct tk_buf *out,
                                         struct phx_ref join_ref, struct tk_slice topic,
                                         struct tk_slice event)
{
    const struct envelope e = {join_ref, no_ref, {.bytes = topic}, event};
    put_head(vsn, out, &e);
    size_t head_len = out->len;
    put_tail(vsn, out, &e);
    return (struct phx_around){
        .first = frame_of_message(FRAME_FIRST, tk_slice(out->data, head_len)),
        .last = frame_of_message(FRAME_LAST, tk_slice(out->data + head_len, out->len - head_len)),
    };
}

struct frame *phx_encode_broadcast(enum phx_vsn vsn, struct tk_buf *out, struct tk_slice topic,
                                   struct tk_slice event, const struct phx_payload *payload)
{
    const struct envelope e = {no_ref, no_ref, {.bytes = topic}, event};
    if (payload->is_binary)
        return can_be_binary(vsn, e.topic) ? encode_binary_broadcast(out, &e, payload->bytes)
                                           : NULL;
    if (payload->type != TK_JSON_OBJECT)
        return NULL;
    return encode_text(vsn, out, &e, payload->bytes);
}

struct frame *phx_encode_end(enum phx_vsn vsn, struct tk_buf *out, struct phx_ref join_ref,
                             struct tk_slice topic, struct tk_slice event, struct tk_slice payload)
{
    const struct envelope e = {join_ref, join_ref, {.bytes = topic}, event};
    return encode_text(vsn, out, &e, payload);
}
