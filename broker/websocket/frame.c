/* SPDX-License-Identifier: MIT */
/* A frame is written once, here, and never changes: any number of queues may share it. */
#include "broker/websocket/frame.h"

#include <stdlib.h>

#define MAX_HEADER   10
#define FINAL        0x80
#define LEN_16_BITS  126
#define LEN_64_BITS  127
#define CONTINUATION 0

#define PIECE_PAYLOAD (FRAME_PIECE - 4) /* behind a header with 16 bits of length */

static unsigned char *put_big_endian(unsigned char *p, uint64_t value, int bytes)
{
    for (int i = bytes - 1; i >= 0; i--)
        *p++ = (unsigned char)(value >> 8 * i);
    return p;
}

/* Returns how many bytes it wrote: the length takes its shortest form (RFC 6455, 5.2). */
static size_t put_header(unsigned char *header, unsigned first_byte, size_t len)
{
    unsigned char *p = header;
    *p++ = (unsigned char)first_byte;
    if (len < LEN_16_BITS) {
        *p++ = (unsigned char)len;
    } else if (len <= UINT16_MAX) {
        *p++ = LEN_16_BITS;
        p = put_big_endian(p, len, 2);
    } else {
        *p++ = LEN_64_BITS;
        p = put_big_endian(p, len, 8);
    }
    return (size_t)(p - header);
}

/* Takes bytes from the parts one behind the other. */
struct part_reader {
    const struct tk_slice *parts;
    size_t offset; /* in the first of them */
};

static void read_parts(struct part_reader *r, unsigned char *to, size_t len)
{
    while (len > 0) {
        size_t left = r->parts->len - r->offset;
        size_t n = left < len ? left : len;
        if (n > 0)
            memcpy(to, r->parts->ptr + r->offset, n);
        to += n;
        len -= n;
        r->offset += n;
        if (r->offset == r->parts->len) {
            r->parts++;
            r->offset = 0;
        }
    }
}

/* opcode is CONTINUATION for what goes on with a message; is_final ends it. */
static struct frame *build(unsigned opcode, bool is_final, const struct tk_slice *parts,
                           size_t count)
{
    size_t payload_len = 0;
    for (size_t i = 0; i < count; i++)
        payload_len += parts[i].len;
    bool is_pieced = payload_len > FRAME_WHOLE_MAX;
    size_t piece_max = is_pieced ? PIECE_PAYLOAD : FRAME_WHOLE_MAX;
    size_t pieces = is_pieced ? (payload_len + piece_max - 1) / piece_max : 1;
    tk_assert(payload_len <= UINT32_MAX - pieces * MAX_HEADER);

    struct frame *f = tk_xmalloc(sizeof(*f) + payload_len + pieces * MAX_HEADER);
    struct part_reader reader = {.parts = parts};
    unsigned char *p = f->bytes;
    for (size_t i = 0; i < pieces; i++) {
        size_t len = i + 1 < pieces ? piece_max : payload_len;
        bool ends = is_final && i + 1 == pieces;
        p += put_header(p, (ends ? FINAL : 0) | (i == 0 ? opcode : CONTINUATION), len);
        read_parts(&reader, p, len);
        p += len;
        payload_len -= len;
    }
    f->refs = 1;
    f->len = (uint32_t)(p - f->bytes);
    f->is_pieced = is_pieced;
    return f;
}

struct frame *frame_join(enum ws_opcode opcode, const struct tk_slice *parts, size_t count)
{
    return build(opcode, true, parts, count);
}

struct frame *frame_of_message(enum frame_part part, struct tk_slice payload)
{
    return build(part == FRAME_FIRST ? WS_TEXT : CONTINUATION, part == FRAME_LAST, &payload, 1);
}

struct frame *frame_new(enum ws_opcode opcode, struct tk_slice payload)
{
    return frame_join(opcode, &payload, 1);
}

void frame_unref(struct frame *f)
{
    if (f && --f->refs == 0)
        free(f);
}
