/* SPDX-License-Identifier: MIT */
/*
 * Who lives. A node is known while it has a part in a topic of ours. Its entries are to be seen
 * from the moment its lease was seen until the lease is missed; a lease that is missing right after
 * the link came up proves nothing, because the store may have lost everything and the node not be
 * back yet, so nobody is judged before a lease's length has passed.
 */
#include <stdlib.h>

#include "broker/presence/presence_internal.h"

#define FORGET_AT_ONCE 512
#define ANSWER_MS      3000 /* an older answer says nothing about now */

static struct tk_slice node_key(const void *value)
{
    return node_id(value);
}

void presence_nodes_init(struct presence *p)
{
    tk_map_init(&p->nodes, node_key);
}

void presence_nodes_fini(struct presence *p)
{
    tk_assert(p->nodes.count == 0); /* they go with their parts, and those with their topics */
    tk_map_fini(&p->nodes);
}

/* One question at a time, unless the answer takes too long. */
static bool ask(struct presence *p, struct presence_node *n)
{
    if (n->asked > 0 && p->now_ms - n->asked_ms <= ANSWER_MS)
        return true;
    if (!p->is_linked || !p->ops->check(p->arg, node_id(n)))
        return false;
    n->asked++;
    n->asked_ms = p->now_ms;
    return true;
}

struct presence_node *presence_node_get(struct presence *p, struct tk_slice id)
{
    struct presence_node *n = tk_map_find(&p->nodes, id);
    if (n)
        return n;
    n = tk_xcalloc(1, sizeof(*n) + id.len);
    n->id_len = (uint32_t)id.len;
    memcpy(n->id, id.ptr, id.len);
    n->since_ms = p->now_ms;
    tk_map_put(&p->nodes, n);
    n->next = p->first_node;
    if (n->next)
        n->next->prev = n;
    p->first_node = n;
    ask(p, n);
    return n;
}

void presence_node_link(struct presence_node *n, struct presence_part *part)
{
    part->node = n;
    part->node_prev = NULL;
    part->node_next = n->parts;
    if (part->node_next)
        part->node_next->node_prev = part;
    n->parts = part;
}

void presence_node_unlink(struct presence *p, struct presence_part *part)
{
    struct presence_node *n = part->node;
    if (part->node_prev)
        part->node_prev->node_next = part->node_next;
    else
        n->parts = part->node_next;
    if (part->node_next)
        part->node_next->node_prev = part->node_prev;
    if (n->parts)
        return;
    tk_map_remove(&p->nodes, node_id(n));
    if (n->prev)
        n->prev->next = n->next;
    else
        p->first_node = n->next;
    if (n->next)
        n->next->prev = n->prev;
    free(n);
}

/* What a dead node left in the store; others of us do the same, which does no harm. */
static void forget_part(const struct presence_part *part)
{
    const struct presence *p = part->topic->p;
    struct tk_slice refs[FORGET_AT_ONCE];
    size_t count = 0;
    for (const struct presence_entry *e = part->origin.first; e; e = e->origin_next) {
        refs[count++] = tk_slice(e->ref, PRESENCE_REF_LEN);
        if (count < FORGET_AT_ONCE)
            continue;
        p->ops->forget(p->arg, presence_topic_name(part->topic), node_id(part->node), refs, count,
                       false);
        count = 0;
    }
    p->ops->forget(p->arg, presence_topic_name(part->topic), node_id(part->node), refs, count,
                   true);
}

/* Its entries leave, in one diff per topic (C126, C131). Frees n. */
static void lose(struct presence *p, struct presence_node *n, bool is_dead)
{
    struct presence_part *next;
    p->stats.nodes_lost++;
    for (struct presence_part *part = n->parts; part; part = next) {
        struct presence_topic *t = part->topic;
        next = part->node_next;
        if (is_dead && p->is_linked)
            forget_part(part);
        presence_drop_part(part); /* the last one frees n */
        presence_settle(t);
    }
}

/*
 * Leases
 */

/* Entries older than what the node wrote last come from a store that was set back in time. */
static void drop_below_floor(struct presence_part *part, uint64_t floor)
{
    struct presence_entry *next;
    for (struct presence_entry *e = part->origin.first; e; e = next) {
        next = e->origin_next;
        if (e->stamp < floor)
            presence_set_remove(&part->topic->set, e);
    }
}

static void come_up(struct presence_node *n)
{
    n->is_up = true;
    for (struct presence_part *part = n->parts; part; part = part->node_next) {
        drop_below_floor(part, n->floor);
        presence_set_show_origin(&part->topic->set, &part->origin, true);
        presence_schedule(part->topic);
    }
}

static void on_alive(struct presence_node *n, uint64_t floor)
{
    bool was_missing = n->is_missing;
    n->floor = floor;
    n->is_missing = false;
    n->is_checked = true;
    if (!n->is_up)
        come_up(n);
    if (!was_missing)
        return;
    /* It wrote everything again; what it did not write is not there any more. */
    for (struct presence_part *part = n->parts; part; part = part->node_next)
        presence_request_read(part->topic);
}

/*
 * True: it is to be given up. An answer that lay in the socket while we stood still is from another
 * time, when perhaps the store had just lost everything.
 */
static bool on_missing(const struct presence *p, struct presence_node *n)
{
    if (n->asked > 0 || p->now_ms - n->asked_ms > ANSWER_MS)
        return false;
    uint64_t since_ms = n->is_up ? p->link_change_ms : n->since_ms;
    n->is_missing = true;
    n->is_checked = false;
    return p->now_ms - since_ms >= p->options.lease_ms;
}

void presence_on_lease(struct presence *p, struct tk_slice id, bool is_alive, uint64_t floor)
{
    struct presence_node *n = tk_map_find(&p->nodes, id);
    if (!n || !p->is_linked)
        return;
    n->is_answered = true;
    if (n->asked > 0)
        n->asked--;
    if (is_alive)
        on_alive(n, floor);
    for (struct presence_part *part = n->parts; part; part = part->node_next)
        if (presence_is_complete(part->topic))
            presence_become_ready(part->topic);
    if (!is_alive && on_missing(p, n)) {
        lose(p, n, true);
        return;
    }
    struct presence_part *next;
    for (struct presence_part *part = n->parts; part; part = next) {
        next = part->node_next;
        presence_settle(part->topic);
    }
}

/*
 * The link
 */

void presence_poll_nodes(struct presence *p)
{
    if (p->is_linked) {
        for (struct presence_node *n = p->first_node; n; n = n->next)
            if (!ask(p, n))
                return;
    } else if (!p->is_alone && p->now_ms - p->link_change_ms >= p->options.lease_ms) {
        p->is_alone = true; /* C132: for all we know, everybody else is gone */
        while (p->first_node)
            lose(p, p->first_node, false);
    }
}

void presence_on_link_up(struct presence *p)
{
    p->is_linked = true;
    p->is_alone = false;
    p->link_change_ms = p->now_ms;
    presence_reset_all(p);
    for (struct presence_node *n = p->first_node; n; n = n->next) {
        n->is_checked = false;
        n->asked = 0;
        ask(p, n);
    }
    for (struct presence_topic *t = p->first_topic; t; t = t->next)
        presence_request_read(t);
}

void presence_on_link_down(struct presence *p)
{
    p->is_linked = false;
    p->link_change_ms = p->now_ms;
    for (struct presence_topic *t = p->first_topic; t; t = t->next) {
        presence_cancel_read(t);
        presence_become_ready(t);
    }
}

void presence_on_lease_lost(struct presence *p)
{
    p->link_change_ms = p->now_ms; /* others may have lost theirs for the same reason */
    presence_reset_all(p);
}

/*
 * News
 */

/* "name/worker@incarnation" without the incarnation. */
static struct tk_slice name_part(struct tk_slice id)
{
    const char *at = memrchr(id.ptr, '@', id.len);
    return at ? tk_slice(id.ptr, (size_t)(at - id.ptr)) : id;
}

static struct presence_node *find_predecessor(const struct presence *p, struct tk_slice id)
{
    for (struct presence_node *n = p->first_node; n; n = n->next)
        if (!n->is_draining && !tk_slice_eq(node_id(n), id) &&
            tk_slice_eq(name_part(node_id(n)), name_part(id)))
            return n;
    return NULL;
}

void presence_on_node(struct presence *p, struct tk_slice id, enum presence_news news,
                      bool replaces)
{
    struct presence_node *n = id.len > 0 ? tk_map_find(&p->nodes, id) : NULL;
    if (news == PRESENCE_NODE_UP && replaces && id.len > 0)
        while ((n = find_predecessor(p, id)))
            lose(p, n, true);
    else if (news == PRESENCE_NODE_DRAINING && n)
        n->is_draining = true;
    else if (news == PRESENCE_NODE_GONE && n)
        ask(p, n);
}
