/* SPDX-License-Identifier: MIT */
/*
 * The frames that wait for one connection: a FIFO with a budget in bytes (C169). Costs no memory
 * beyond the struct while it is empty or holds a single frame.
 */
#pragma once

#include "broker/websocket/frame.h"

struct out_queue {
    struct frame *single; /* the only frame while items is NULL */
    struct frame **items; /* ring */
    uint32_t head;
    uint32_t count;
    uint32_t bytes;        /* not taken yet */
    uint32_t offset;       /* of the first frame, which is pieced: taken already */
    uint32_t exempt_bytes; /* of the group that the budget does not count; 0: none waits */
    uint16_t exempt_skip;  /* frames before that group */
    uint8_t exempt_frames; /* left of it */
    uint8_t cap_bits;      /* of the ring's size */
};

void out_queue_fini(struct out_queue *q);

/* References frame. TK_ELIMIT (nothing queued) when bytes are waiting and frame would exceed
 * budget. */
enum tk_err out_queue_push(struct out_queue *q, struct frame *frame, size_t budget) TK_MUST_CHECK;

/*
 * The parts of one message (frame_of_message), all or none of them. One such message at a time is
 * not counted against the budget: its bytes are shared, and a client must get them however many
 * there are, and what follows, too (C118, C169: the limit plus one message).
 */
#define OUT_QUEUE_GROUP_MAX 4
enum tk_err out_queue_push_group(struct out_queue *q, struct frame *const *frames, size_t count,
                                 size_t budget) TK_MUST_CHECK;

static inline bool out_queue_is_empty(const struct out_queue *q)
{
    return q->count == 0;
}

/*
 * The next bytes to write, whole websocket frames: a single one as it is, as many as fit joined
 * into scratch (scratch_size), or of a pieced one as many pieces as that size allows, at least one.
 * Takes them from the queue; *holder is NULL, or the frame whose bytes the result points to: unref
 * it after the write.
 */
struct tk_slice out_queue_take(struct out_queue *q, char *scratch, size_t scratch_size,
                               struct frame **holder);
