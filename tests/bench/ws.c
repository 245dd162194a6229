/* SPDX-License-Identifier: MIT */
#include "tests/bench/ws.h"

#define FINAL    0x80
#define RESERVED 0x70
#define MASKED   0x80

/* Any mask is as good as another against loopback; xorshift keeps them different. */
static uint32_t next_mask(void)
{
    static _Thread_local uint32_t state = 0x9e3779b9;
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    return state;
}

static void apply_mask(char *data, size_t len, const char mask[4])
{
    for (size_t i = 0; i < len; i++)
        data[i] = (char)(data[i] ^ mask[i & 3]);
}

static uint64_t big_endian(const unsigned char *bytes, size_t count)
{
    uint64_t value = 0;
    for (size_t i = 0; i < count; i++)
        value = value << 8 | bytes[i];
    return value;
}

enum ws_parse ws_parse(char *data, size_t len, bool is_masked, size_t limit, struct ws_frame *frame,
                       size_t *size)
{
    const unsigned char *head = (const unsigned char *)data;
    if (len < 2)
        return WS_PARSE_MORE;
    if (head[0] & RESERVED || !(head[1] & MASKED) == is_masked)
        return WS_PARSE_BAD;
    uint64_t payload_len = head[1] & 0x7f;
    size_t extra = payload_len == 126 ? 2 : payload_len == 127 ? 8 : 0;
    size_t head_len = 2 + extra + (is_masked ? 4 : 0);
    if (len < head_len)
        return WS_PARSE_MORE;
    if (extra > 0)
        payload_len = big_endian(head + 2, extra);
    if (payload_len > limit)
        return WS_PARSE_BAD;
    if (len - head_len < payload_len)
        return WS_PARSE_MORE;
    if (is_masked)
        apply_mask(data + head_len, payload_len, data + head_len - 4);
    frame->opcode = head[0] & 0x0f;
    frame->is_final = head[0] & FINAL;
    frame->payload = data + head_len;
    frame->len = payload_len;
    *size = head_len + payload_len;
    return WS_PARSE_FRAME;
}

static void append_head(struct tk_buf *out, enum ws_opcode opcode, size_t len, unsigned mask_bit)
{
    unsigned char head[10] = {(unsigned char)(FINAL | opcode)};
    size_t extra = len < 126 ? 0 : len < 65536 ? 2 : 8;
    head[1] = (unsigned char)(mask_bit | (extra == 0 ? len : extra == 2 ? 126 : 127));
    for (size_t i = 0; i < extra; i++)
        head[2 + i] = (unsigned char)((uint64_t)len >> (8 * (extra - 1 - i)));
    tk_buf_append(out, head, 2 + extra);
}

void ws_append_client_frame(struct tk_buf *out, enum ws_opcode opcode, struct tk_slice payload)
{
    char mask[4];
    uint32_t bits = next_mask();
    memcpy(mask, &bits, sizeof(mask));
    append_head(out, opcode, payload.len, MASKED);
    tk_buf_append(out, mask, sizeof(mask));
    size_t start = out->len;
    tk_buf_append_slice(out, payload);
    apply_mask(out->data + start, payload.len, mask);
}

void ws_append_server_frame(struct tk_buf *out, enum ws_opcode opcode, struct tk_slice payload)
{
    append_head(out, opcode, payload.len, 0);
    tk_buf_append_slice(out, payload);
}
