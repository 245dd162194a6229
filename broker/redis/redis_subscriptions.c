/* SPDX-License-Identifier: MIT */
/*
 * The set of subscriptions. An entry lives while its channel is wanted, or while Redis still has to
 * hear or confirm something about it; entries that are neither are freed at once, so that clients
 * who join and leave while Redis is away leave nothing behind.
 */
#include "broker/redis/redis_subscriptions.h"

#include <stdlib.h>

#include "broker/redis/redis_wire.h"

#define UNCONFIRMED_MAX 4096
#define BATCH_MAX       128 /* channels per command */

struct redis_subscription {
    struct redis_subscription *prev, *next; /* in the queue */
    uint32_t awaited;                       /* confirmations to come */
    bool is_wanted;
    bool is_told; /* the last thing said to Redis was SUBSCRIBE */
    bool is_queued;
    size_t len;
    char channel[];
};

static struct tk_slice key_of(const void *value)
{
    const struct redis_subscription *s = value;
    return tk_slice(s->channel, s->len);
}

void redis_subscriptions_init(struct redis_subscriptions *subs)
{
    *subs = (struct redis_subscriptions){0};
    tk_map_init(&subs->map, key_of);
}

void redis_subscriptions_fini(struct redis_subscriptions *subs)
{
    size_t pos = 0;
    struct redis_subscription *s;
    while ((s = tk_map_next(&subs->map, &pos)) != NULL)
        free(s);
    tk_map_fini(&subs->map);
}

static void enqueue(struct redis_subscriptions *subs, struct redis_subscription *s)
{
    if (s->is_queued)
        return;
    s->is_queued = true;
    s->next = NULL;
    s->prev = subs->last;
    if (subs->last)
        subs->last->next = s;
    else
        subs->first = s;
    subs->last = s;
}

static void dequeue(struct redis_subscriptions *subs, struct redis_subscription *s)
{
    if (!s->is_queued)
        return;
    s->is_queued = false;
    if (s->prev)
        s->prev->next = s->next;
    else
        subs->first = s->next;
    if (s->next)
        s->next->prev = s->prev;
    else
        subs->last = s->prev;
}

static void free_if_over(struct redis_subscriptions *subs, struct redis_subscription *s)
{
    if (s->is_wanted || s->is_told || s->awaited > 0)
        return;
    dequeue(subs, s);
    tk_map_remove(&subs->map, key_of(s));
    free(s);
}

void redis_subscriptions_add(struct redis_subscriptions *subs, struct tk_slice channel)
{
    struct redis_subscription *s = tk_map_find(&subs->map, channel);
    if (s == NULL) {
        s = tk_xcalloc(1, sizeof(*s) + channel.len);
        s->len = channel.len;
        memcpy(s->channel, channel.ptr, channel.len);
        tk_map_put(&subs->map, s);
    }
    s->is_wanted = true;
    enqueue(subs, s);
}

void redis_subscriptions_remove(struct redis_subscriptions *subs, struct tk_slice channel)
{
    struct redis_subscription *s = tk_map_find(&subs->map, channel);
    if (s == NULL)
        return;
    s->is_wanted = false;
    if (s->is_told)
        enqueue(subs, s);
    else
        dequeue(subs, s);
    free_if_over(subs, s);
}

static void collect_unwanted(struct redis_subscriptions *subs)
{
    struct redis_subscription *s, *over = NULL;
    size_t pos = 0;
    while ((s = tk_map_next(&subs->map, &pos)) != NULL) { /* the map must not change meanwhile */
        dequeue(subs, s);
        s->is_told = false;
        s->awaited = 0;
        if (s->is_wanted) {
            enqueue(subs, s);
        } else {
            s->next = over;
            over = s;
        }
    }
    while ((s = over) != NULL) {
        over = s->next;
        free_if_over(subs, s);
    }
}

void redis_subscriptions_restart(struct redis_subscriptions *subs)
{
    collect_unwanted(subs);
    subs->unconfirmed = 0;
    subs->restoring = subs->map.count;
}

/* How many entries from the head of the queue fit into one command: they all want the same. */
static size_t batch_size(const struct redis_subscriptions *subs)
{
    size_t max = UNCONFIRMED_MAX - subs->unconfirmed;
    size_t count = 0;
    for (const struct redis_subscription *s = subs->first; s; s = s->next) {
        if (count == max || count == BATCH_MAX || s->is_wanted != subs->first->is_wanted)
            break;
        count++;
    }
    return count;
}

static void write_batch(struct redis_subscriptions *subs, size_t count, struct tk_buf *out)
{
    bool is_subscribe = subs->first->is_wanted;
    redis_wire_write_count(out, count + 1);
    redis_wire_write_arg(out, is_subscribe ? TK_SLICE("SUBSCRIBE") : TK_SLICE("UNSUBSCRIBE"));
    for (size_t i = 0; i < count; i++) {
        struct redis_subscription *s = subs->first;
        dequeue(subs, s);
        redis_wire_write_arg(out, key_of(s));
        s->is_told = is_subscribe;
        s->awaited++;
    }
    subs->unconfirmed += count;
}

void redis_subscriptions_write(struct redis_subscriptions *subs, struct tk_buf *out)
{
    size_t count;
    while (subs->first && (count = batch_size(subs)) > 0)
        write_batch(subs, count, out);
}

bool redis_subscriptions_confirm(struct redis_subscriptions *subs, struct tk_slice channel)
{
    struct redis_subscription *s = tk_map_find(&subs->map, channel);
    if (s == NULL || s->awaited == 0)
        return false;
    subs->unconfirmed--;
    if (subs->restoring > 0)
        subs->restoring--;
    if (--s->awaited > 0 || s->is_queued)
        return false;
    bool is_subscribed = s->is_wanted;
    free_if_over(subs, s);
    return is_subscribed;
}

/*
 * Channels are asked for in the order of the queue, so the first confirmations are those of the
 * restored ones. Some of them may have been removed before they were asked for: then it is over
 * when nothing is left to do.
 */
bool redis_subscriptions_are_restored(const struct redis_subscriptions *subs)
{
    return subs->restoring == 0 || (subs->first == NULL && subs->unconfirmed == 0);
}
