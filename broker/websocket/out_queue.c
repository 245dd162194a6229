/* SPDX-License-Identifier: MIT */
/*
 * Most connections have nothing or one frame waiting most of the time, so the ring exists only
 * while there are two or more. Invariant: bytes is what the waiting frames have together, without
 * what was taken of the first; items is NULL exactly while count <= 1, and single is the frame
 * then. Of the group that the budget does not count, exempt_skip frames away, exempt_frames are
 * left.
 */
#include "broker/websocket/out_queue.h"

#include <stdlib.h>

#define FIRST_CAP_BITS 3

static uint32_t cap(const struct out_queue *q)
{
    return q->items ? 1U << q->cap_bits : 0;
}

static struct frame **slot(const struct out_queue *q, uint32_t index)
{
    return &q->items[(q->head + index) & (cap(q) - 1)];
}

static struct frame *frame_at(const struct out_queue *q, uint32_t index)
{
    return q->items ? *slot(q, index) : q->single;
}

static void grow(struct out_queue *q)
{
    uint8_t bits = q->items ? q->cap_bits + 1 : FIRST_CAP_BITS;
    struct frame **items = tk_xmalloc(sizeof(struct frame *) << bits);
    for (uint32_t i = 0; i < q->count; i++)
        items[i] = frame_at(q, i);
    free(q->items);
    q->items = items;
    q->single = NULL;
    q->head = 0;
    q->cap_bits = bits;
}

static void drop_ring(struct out_queue *q)
{
    q->single = q->count > 0 ? *slot(q, 0) : NULL;
    free(q->items);
    q->items = NULL;
    q->head = 0;
}

static void count_taken(struct out_queue *q, uint32_t bytes)
{
    q->bytes -= bytes;
    if (q->exempt_frames > 0 && q->exempt_skip == 0)
        q->exempt_bytes -= bytes;
}

/* The caller takes over the queue's reference, and counts the bytes. */
static struct frame *unlink_first(struct out_queue *q)
{
    struct frame *f = frame_at(q, 0);
    q->count--;
    q->offset = 0;
    if (q->exempt_skip > 0)
        q->exempt_skip--;
    else if (q->exempt_frames > 0)
        q->exempt_frames--;
    if (!q->items) {
        q->single = NULL;
        return f;
    }
    q->head++;
    if (q->count <= 1)
        drop_ring(q);
    return f;
}

static struct frame *pop(struct out_queue *q)
{
    count_taken(q, frame_at(q, 0)->len - q->offset);
    return unlink_first(q);
}

void out_queue_fini(struct out_queue *q)
{
    while (!out_queue_is_empty(q))
        frame_unref(pop(q));
}

static void append(struct out_queue *q, struct frame *frame)
{
    if (q->count == 0) {
        q->single = frame;
    } else {
        if (q->count >= cap(q))
            grow(q);
        *slot(q, q->count) = frame;
    }
    frame_ref(frame);
    q->count++;
    q->bytes += frame->len;
}

static bool has_room(const struct out_queue *q, uint64_t len, size_t budget)
{
    if ((uint64_t)q->bytes + len > UINT32_MAX)
        return q->count == 0;
    return q->count == 0 || (uint64_t)q->bytes - q->exempt_bytes + len <= budget;
}

enum tk_err out_queue_push(struct out_queue *q, struct frame *frame, size_t budget)
{
    if (!has_room(q, frame->len, budget))
        return TK_ELIMIT;
    append(q, frame);
    return TK_OK;
}

enum tk_err out_queue_push_group(struct out_queue *q, struct frame *const *frames, size_t count,
                                 size_t budget)
{
    uint64_t len = 0;
    tk_assert(count > 0 && count <= OUT_QUEUE_GROUP_MAX);
    for (size_t i = 0; i < count; i++)
        len += frames[i]->len;
    bool is_exempt = q->exempt_frames == 0 && q->count <= UINT16_MAX;
    if (len + q->bytes > UINT32_MAX || (!is_exempt && !has_room(q, len, budget)))
        return TK_ELIMIT;
    if (is_exempt) {
        q->exempt_skip = (uint16_t)q->count;
        q->exempt_frames = (uint8_t)count;
        q->exempt_bytes = (uint32_t)len;
    }
    for (size_t i = 0; i < count; i++)
        append(q, frames[i]);
    return TK_OK;
}

/* How many frames from the front fit into size bytes. */
static uint32_t count_fitting(const struct out_queue *q, size_t size)
{
    uint32_t n = 0;
    if (q->offset > 0)
        return 0;
    while (n < q->count && frame_at(q, n)->len <= size)
        size -= frame_at(q, n++)->len;
    return n;
}

/* Of the first frame, which is pieced: pieces of together at most size bytes, but at least one. */
static struct tk_slice take_pieces(struct out_queue *q, size_t size, struct frame **holder)
{
    struct frame *f = frame_at(q, 0);
    const char *from = (const char *)f->bytes + q->offset;
    uint32_t left = f->len - q->offset;
    size_t len = size < FRAME_PIECE ? FRAME_PIECE : size - size % FRAME_PIECE;
    if (len >= left) {
        *holder = pop(q);
        return tk_slice(from, left);
    }
    count_taken(q, (uint32_t)len);
    q->offset += (uint32_t)len;
    *holder = frame_ref(f);
    return tk_slice(from, len);
}

struct tk_slice out_queue_take(struct out_queue *q, char *scratch, size_t scratch_size,
                               struct frame **holder)
{
    *holder = NULL;
    if (out_queue_is_empty(q))
        return tk_slice(NULL, 0);
    uint32_t n = count_fitting(q, scratch_size);
    if (n == 0 && frame_at(q, 0)->is_pieced)
        return take_pieces(q, scratch_size, holder);
    if (n <= 1) {
        *holder = pop(q);
        return tk_slice((const char *)(*holder)->bytes, (*holder)->len);
    }
    size_t len = 0;
    while (n-- > 0) {
        struct frame *f = pop(q);
        memcpy(scratch + len, f->bytes, f->len);
        len += f->len;
        frame_unref(f);
    }
    return tk_slice(scratch, len);
}
