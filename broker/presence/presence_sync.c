/* SPDX-License-Identifier: MIT */
/*
 * What other nodes write, by delta and by reading the store. Invariant: a part's seq is that of the
 * last delta it holds, and it holds everything before that one.
 *
 * A delta applies when its predecessor is in, or when it is complete in itself; one that comes too
 * early waits for a read of the store. A read takes a while, and the store changes meanwhile, so it
 * first asks for every node's number, and stands for all up to that: entries that it names are
 * added unless we know that they were removed since (their stamp is not newer than what we hold),
 * older ones that it does not name are removed, deltas up to that number are in it, and then come
 * the deltas that waited. The read and the deltas come over two connections, in any order.
 */
#include <stdlib.h>

#include "broker/presence/presence_internal.h"

#define READS_AT_ONCE  16
#define READ_PAUSE_MS  250 /* between two reads of one topic */
#define READ_RETRY_MS  1000
#define MAX_HELD_BYTES (4U << 20)

/*
 * Parts
 */

static struct presence_part *find_part(const struct presence_topic *t, struct tk_slice node)
{
    for (struct presence_part *part = t->parts; part; part = part->next)
        if (tk_slice_eq(node_id(part->node), node))
            return part;
    return NULL;
}

static struct presence_part *get_part(struct presence_topic *t, struct tk_slice node)
{
    struct presence_part *part = find_part(t, node);
    if (part)
        return part;
    part = tk_xcalloc(1, sizeof(*part));
    part->topic = t;
    part->next = t->parts;
    t->parts = part;
    presence_node_link(presence_node_get(t->p, node), part);
    part->origin.is_visible = part->node->is_up;
    return part;
}

void presence_drop_part(struct presence_part *part)
{
    struct presence_topic *t = part->topic;
    struct presence_part **at = &t->parts;
    presence_set_remove_origin(&t->set, &part->origin);
    presence_schedule(t);
    while (*at != part)
        at = &(*at)->next;
    *at = part->next;
    presence_node_unlink(t->p, part);
    free(part);
}

static bool is_own(const struct presence *p, struct tk_slice node)
{
    return tk_slice_eq_str(node, p->options.node_id);
}

/*
 * Deltas
 */

static struct presence_entry *upsert(struct presence_part *part,
                                     const struct presence_record *record, uint64_t stamp)
{
    struct presence_set *set = &part->topic->set;
    struct presence_entry *e = presence_set_find(set, record->ref);
    if (!e)
        e = presence_set_add(set, &part->origin, record);
    else if (e->origin != &part->origin)
        return NULL; /* refs are unique, so somebody made this one up */
    else if (record->is_kept && !e->is_kept)
        presence_set_keep(set, e);
    if (stamp > e->stamp)
        e->stamp = stamp; /* a read may name it as it was before a delta did */
    return e;
}

/* What a later write brought, which a read of the store has shown already, stays. */
static void remove_unconfirmed(struct presence_part *part, uint64_t seq)
{
    struct presence_entry *next;
    for (struct presence_entry *e = part->origin.first; e; e = next) {
        next = e->origin_next;
        if (!e->is_confirmed && e->stamp <= seq)
            presence_set_remove(&part->topic->set, e);
    }
}

static void apply(struct presence_part *part, const struct presence_delta *d)
{
    struct presence_topic *t = part->topic;
    bool is_complete = d->prev == 0;
    if (is_complete)
        for (struct presence_entry *e = part->origin.first; e; e = e->origin_next)
            e->is_confirmed = false;
    for (size_t i = 0; i < d->join_count; i++) {
        struct presence_entry *e = upsert(part, &d->joins[i], d->stamps[i]);
        if (!e)
            continue;
        e->is_confirmed = true;
        e->told_mark = t->read_mark;
    }
    for (size_t i = 0; i < d->leave_count; i++) {
        struct presence_entry *e = presence_set_find(&t->set, d->leaves[i]);
        if (e && e->origin == &part->origin)
            presence_set_remove(&t->set, e);
    }
    if (is_complete)
        remove_unconfirmed(part, d->seq);
    part->seq = d->seq;
    t->p->stats.deltas++;
    presence_schedule(t);
}

static void hold(struct presence_topic *t, struct tk_slice text)
{
    if (t->held_bytes + text.len > MAX_HELD_BYTES) {
        t->wants_full_read = true;
        return;
    }
    struct presence_held *held = tk_xmalloc(sizeof(*held) + text.len);
    held->next = NULL;
    held->len = text.len;
    memcpy(held->text, text.ptr, text.len);
    *t->held_end = held;
    t->held_end = &held->next;
    t->held_bytes += text.len;
}

/* Applies the delta, or drops an old one. False: something before it is missing. */
static bool take_delta(struct presence_topic *t, const struct presence_delta *d)
{
    struct presence_part *part = get_part(t, d->node);
    bool is_being_read = t->read_state == READ_RUNNING && !t->is_probe;
    if (d->seq <= part->seq || (is_being_read && d->seq <= part->read_seq))
        return true;
    if (d->prev != 0 && d->prev != part->seq)
        return false;
    apply(part, d);
    return true;
}

void presence_on_delta(struct presence *p, struct tk_slice topic, struct tk_slice text)
{
    struct presence_topic *t = presence_find(p, topic);
    if (!t || !t->is_open)
        return;
    if (presence_wire_parse_delta(text, p->delta)) {
        p->stats.malformed++;
        return;
    }
    if (is_own(p, p->delta->node))
        return;
    if (!take_delta(t, p->delta)) {
        p->stats.gaps++;
        hold(t, text);
        presence_request_read(t);
    }
    presence_settle(t);
}

static void drop_held(struct presence_topic *t)
{
    while (t->held) {
        struct presence_held *held = t->held;
        t->held = held->next;
        free(held);
    }
    t->held_end = &t->held;
    t->held_bytes = 0;
}

/* True when all of them applied, or were old. */
static bool replay_held(struct presence_topic *t)
{
    bool is_gapless = true;
    for (struct presence_held *held = t->held; held; held = held->next) {
        enum tk_err err = presence_wire_parse_delta(tk_slice(held->text, held->len), t->p->delta);
        tk_assert(err == TK_OK);
        is_gapless &= take_delta(t, t->p->delta);
    }
    drop_held(t);
    return is_gapless;
}

/*
 * Which topic is read when
 */

static void link_read(struct presence_topic *t)
{
    struct presence *p = t->p;
    t->read_state = READ_QUEUED;
    t->read_next = NULL;
    t->read_prev = p->last_read;
    if (t->read_prev)
        t->read_prev->read_next = t;
    else
        p->first_read = t;
    p->last_read = t;
}

static void unlink_read(struct presence_topic *t)
{
    struct presence *p = t->p;
    if (t->read_prev)
        t->read_prev->read_next = t->read_next;
    else
        p->first_read = t->read_next;
    if (t->read_next)
        t->read_next->read_prev = t->read_prev;
    else
        p->last_read = t->read_prev;
}

static void request(struct presence_topic *t, bool only_seqs)
{
    if (!t->p->is_linked || !t->is_open)
        return;
    if (!only_seqs)
        t->wants_full_read = true;
    if (t->read_state == READ_NONE)
        link_read(t);
    presence_run_reads(t->p);
}

void presence_request_read(struct presence_topic *t)
{
    request(t, false);
}

void presence_cancel_read(struct presence_topic *t)
{
    if (t->read_state == READ_QUEUED)
        unlink_read(t);
    else if (t->read_state == READ_RUNNING)
        t->p->reads_in_flight--;
    t->read_state = READ_NONE;
    t->wants_full_read = false;
    drop_held(t);
}

static bool start_read(struct presence_topic *t)
{
    struct presence *p = t->p;
    t->read_id = ++p->read_id;
    t->is_probe = !t->wants_full_read;
    if (!p->ops->read(p->arg, presence_topic_name(t), t->read_id, t->is_probe))
        return false;
    unlink_read(t);
    t->read_state = READ_RUNNING;
    t->wants_full_read = false;
    t->read_mark++;
    t->read_from_ms = p->now_ms + READ_PAUSE_MS;
    if (t->is_probe)
        t->compare_ms = p->now_ms + PRESENCE_COMPARE_MS;
    p->reads_in_flight++;
    p->stats.reads += !t->is_probe;
    t->self.read_seq = 0;
    t->seq_at_read = t->self.seq;
    for (struct presence_part *part = t->parts; part; part = part->next) {
        part->read_seq = 0;
        part->read_floor = part->node->floor;
    }
    return true;
}

void presence_run_reads(struct presence *p)
{
    struct presence_topic *next;
    for (struct presence_topic *t = p->first_read; t && p->reads_in_flight < READS_AT_ONCE;
         t = next) {
        next = t->read_next;
        if (t->read_from_ms <= p->now_ms && !start_read(t))
            return;
    }
}

void presence_compare_old(struct presence *p)
{
    for (struct presence_topic *t = p->first_topic; t && p->reads_in_flight < READS_AT_ONCE;
         t = t->next)
        if (t->is_open && t->read_state == READ_NONE && p->now_ms >= t->compare_ms)
            request(t, true);
}

/*
 * Reading
 */

static struct presence_topic *reading(const struct presence *p, struct tk_slice topic, uint64_t id)
{
    struct presence_topic *t = presence_find(p, topic);
    return t && t->read_state == READ_RUNNING && t->read_id == id ? t : NULL;
}

void presence_on_read_seq(struct presence *p, struct tk_slice topic, uint64_t id,
                          struct tk_slice node, struct tk_slice text)
{
    struct presence_topic *t = reading(p, topic, id);
    uint64_t seq;
    if (!t)
        return;
    if (node.len == 0 || node.len > PRESENCE_NODE_MAX || presence_wire_parse_number(text, &seq))
        p->stats.malformed++;
    else if (is_own(p, node))
        t->self.read_seq = seq;
    else
        get_part(t, node)->read_seq = seq;
}

/*
 * What is nobody's for sure: ours that we do not have, or older than what its node, as we knew
 * before we began to read, has written anew.
 */
static void forget_one(struct presence_topic *t, struct tk_slice node, struct tk_slice ref)
{
    struct presence *p = t->p;
    p->ops->forget(p->arg, presence_topic_name(t), node, &ref, 1, false);
}

static void take_entry(struct presence_topic *t, struct tk_slice node,
                       const struct presence_record *record, uint64_t stamp)
{
    if (is_own(t->p, node)) {
        struct presence_entry *e = presence_set_find(&t->set, record->ref);
        if (e)
            e->read_mark = t->read_mark;
        else
            forget_one(t, node, record->ref);
        return;
    }
    struct presence_part *part = get_part(t, node);
    if (stamp <= part->seq && !presence_set_find(&t->set, record->ref))
        return; /* it was removed since the read began */
    if (stamp < part->read_floor) {
        forget_one(t, node, record->ref);
        return;
    }
    struct presence_entry *e = upsert(part, record, stamp);
    if (e)
        e->read_mark = t->read_mark;
    presence_schedule(t);
}

void presence_on_read_entry(struct presence *p, struct tk_slice topic, uint64_t id,
                            struct tk_slice field, struct tk_slice text)
{
    struct presence_topic *t = reading(p, topic, id);
    struct presence_record record;
    uint64_t stamp;
    if (!t)
        return;
    size_t tail = PRESENCE_REF_LEN + 1;
    if (field.len <= tail || field.len > PRESENCE_NODE_MAX + tail ||
        field.ptr[field.len - tail] != '|' || presence_wire_parse_entry(text, &stamp, &record) ||
        memcmp(record.ref.ptr, field.ptr + field.len - PRESENCE_REF_LEN, PRESENCE_REF_LEN) != 0) {
        p->stats.malformed++;
        return;
    }
    take_entry(t, tk_slice(field.ptr, field.len - tail), &record, stamp);
}

/*
 * Of a node that has a number everything up to that number was named, or is gone. One without has
 * left the topic, or the store has lost everything and waits for it to write again, which only its
 * lease can tell; or it came since, as a delta has told.
 */
static bool is_gone(const struct presence_part *part, const struct presence_entry *e)
{
    uint32_t read = part->topic->read_mark;
    if (e->read_mark == read)
        return false;
    return part->read_seq > 0 ? e->stamp <= part->read_seq : e->told_mark != read;
}

static void sweep(struct presence_part *part)
{
    struct presence_topic *t = part->topic;
    struct presence_entry *next;
    if (part->read_seq == 0 && !part->node->is_checked)
        return;
    for (struct presence_entry *e = part->origin.first; e; e = next) {
        next = e->origin_next;
        if (!is_gone(part, e))
            continue;
        presence_set_remove(&t->set, e);
        presence_schedule(t);
    }
}

/* Somebody took us for dead and cleaned up behind us while we wrote. */
static bool has_lost_own(const struct presence_topic *t)
{
    if (t->self.seq != t->seq_at_read)
        return false; /* written since: too early to say */
    for (const struct presence_entry *e = t->self.origin.first; e; e = e->origin_next)
        if (!e->is_unsent && e->read_mark != t->read_mark)
            return true;
    return false;
}

static void finish_full_read(struct presence_topic *t)
{
    if (has_lost_own(t))
        presence_on_expired(t->p, presence_topic_name(t));
    for (struct presence_part *part = t->parts; part; part = part->next) {
        sweep(part);
        if (part->read_seq > part->seq)
            part->seq = part->read_seq;
    }
    if (!replay_held(t))
        t->wants_full_read = true;
}

void presence_on_read_count(struct presence *p, struct tk_slice topic, uint64_t id,
                            uint64_t entries)
{
    struct presence_topic *t = reading(p, topic, id);
    if (t)
        t->read_entries = entries;
}

/* A false alarm, because things have changed meanwhile, costs a read. */
static void finish_probe(struct presence_topic *t)
{
    struct presence_part *next;
    if (t->unsent == 0 && t->removed_count == 0 && t->read_entries != t->set.entries.count)
        t->wants_full_read = true;
    for (struct presence_part *part = t->parts; part; part = next) {
        next = part->next;
        if (part->read_seq != part->seq && (part->read_seq != 0 || part->origin.count > 0))
            t->wants_full_read = true;
        else if (part->read_seq == 0 && part->origin.count == 0)
            presence_drop_part(part); /* the node has left the topic */
    }
    if (t->self.read_seq != t->seq_at_read && t->self.seq == t->seq_at_read)
        presence_on_expired(t->p, presence_topic_name(t));
}

bool presence_is_complete(const struct presence_topic *t)
{
    if (t->read_state != READ_NONE)
        return false;
    for (const struct presence_part *part = t->parts; part; part = part->next)
        if (!part->node->is_answered)
            return false;
    return true;
}

void presence_on_read_end(struct presence *p, struct tk_slice topic, uint64_t id, bool ok)
{
    struct presence_topic *t = reading(p, topic, id);
    if (!t)
        return;
    t->read_state = READ_NONE;
    p->reads_in_flight--;
    if (!ok) {
        t->wants_full_read = true;
        t->read_from_ms = p->now_ms + READ_RETRY_MS;
    } else if (t->is_probe) {
        finish_probe(t);
    } else {
        finish_full_read(t);
    }
    if (t->wants_full_read)
        presence_request_read(t);
    if (!ok || presence_is_complete(t))
        presence_become_ready(t);
    presence_run_reads(p);
    presence_settle(t);
}

/* After its subscription nothing is missed, so what is read from then on is all there is. */
void presence_on_subscribed(struct presence *p, struct tk_slice topic)
{
    struct presence_topic *t = presence_find(p, topic);
    if (t && t->is_open && p->is_linked)
        presence_request_read(t);
}
