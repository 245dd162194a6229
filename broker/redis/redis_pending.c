/* SPDX-License-Identifier: MIT */
/* The queue of awaited replies: a ring whose size is a power of two, with run-length for publishes.
 */
#include "broker/redis/redis_pending.h"

#include <stdlib.h>

struct redis_waiter {
    redis_reply_fn fn; /* NULL: count replies that nobody waits for */
    void *arg;
    uint32_t count;
};

void redis_pending_fini(struct redis_pending *p)
{
    free(p->items);
    *p = (struct redis_pending){0};
}

static struct redis_waiter *at(const struct redis_pending *p, uint32_t i)
{
    return &p->items[(p->head + i) & (p->cap - 1)];
}

static void grow(struct redis_pending *p)
{
    struct redis_pending bigger = {.cap = p->cap ? p->cap * 2 : 64, .count = p->count};
    bigger.items = tk_xmalloc(bigger.cap * sizeof(*bigger.items));
    for (uint32_t i = 0; i < p->count; i++)
        bigger.items[i] = *at(p, i);
    free(p->items);
    *p = bigger;
}

bool redis_pending_has_room(const struct redis_pending *p, uint32_t entries)
{
    return entries <= REDIS_PENDING_MAX - p->count;
}

enum tk_err redis_pending_push(struct redis_pending *p, redis_reply_fn fn, void *arg)
{
    struct redis_waiter *last = p->count > 0 ? at(p, p->count - 1) : NULL;
    if (last && last->fn == NULL && fn == NULL && last->count < UINT32_MAX) {
        last->count++;
        return TK_OK;
    }
    if (p->count == REDIS_PENDING_MAX)
        return TK_ELIMIT;
    if (p->count == p->cap)
        grow(p);
    p->count++;
    *at(p, p->count - 1) = (struct redis_waiter){fn, arg, 1};
    return TK_OK;
}

bool redis_pending_pop(struct redis_pending *p, redis_reply_fn *fn, void **arg)
{
    if (p->count == 0)
        return false;
    struct redis_waiter *first = at(p, 0);
    *fn = first->fn;
    *arg = first->arg;
    if (--first->count == 0) {
        p->head = (p->head + 1) & (p->cap - 1);
        p->count--;
    }
    return true;
}
