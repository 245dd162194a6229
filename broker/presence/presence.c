/* SPDX-License-Identifier: MIT */
/*
 * Topics and our own entries. Invariants: a topic is due while a change waits to be told; the last
 * `unsent` entries of our own part are those that the store does not have as they are; what was
 * ever in the store and left is in `removed` until the store is known to have dropped it, also
 * after the topic was closed.
 */
#include "broker/presence/presence.h"

#include <stdlib.h>

#include "broker/presence/presence_internal.h"
#include "broker/websocket/frame.h"

#define WRITE_RETRY_MS 1000
#define READY_LIMIT_MS 2000

static struct tk_slice topic_key(const void *value)
{
    return presence_topic_name(value);
}

void presence_init(struct presence *p, const struct presence_options *options,
                   const struct presence_ops *ops, void *arg, uint64_t now_ms)
{
    *p = (struct presence){.options = *options, .ops = ops, .arg = arg, .now_ms = now_ms};
    p->delta = tk_xcalloc(1, sizeof(*p->delta));
    presence_refs_init(&p->refs);
    tk_map_init(&p->topics, topic_key);
    presence_nodes_init(p);
}

struct presence_topic *presence_find(const struct presence *p, struct tk_slice name)
{
    return tk_map_find(&p->topics, name);
}

bool presence_is_ready(const struct presence_topic *t)
{
    return t->is_ready;
}

void *presence_owner(const struct presence_topic *t)
{
    return t->owner;
}

struct tk_slice presence_topic_name(const struct presence_topic *t)
{
    return tk_slice(t->name, t->name_len);
}

uint32_t presence_count(const struct presence_topic *t)
{
    return t->set.shown_keys;
}

void presence_write_state(const struct presence_topic *t, struct tk_buf *out)
{
    presence_set_write_state(&t->set, out);
}

struct frame **presence_state_cache(struct presence_topic *t)
{
    return &t->state;
}

static void drop_state(struct presence_topic *t)
{
    frame_unref(t->state);
    t->state = NULL;
}

/*
 * Batches
 */

void presence_schedule(struct presence_topic *t)
{
    struct presence *p = t->p;
    if (t->is_due)
        return;
    t->is_due = true;
    t->due_ms = p->now_ms + p->options.window_ms;
    t->due_next = NULL;
    t->due_prev = p->last_due;
    if (t->due_prev)
        t->due_prev->due_next = t;
    else
        p->first_due = t;
    p->last_due = t;
}

static void unlink_due(struct presence_topic *t)
{
    struct presence *p = t->p;
    if (!t->is_due)
        return;
    t->is_due = false;
    if (t->due_prev)
        t->due_prev->due_next = t->due_next;
    else
        p->first_due = t->due_next;
    if (t->due_next)
        t->due_next->due_prev = t->due_prev;
    else
        p->last_due = t->due_prev;
}

static void tell_members(struct presence_topic *t)
{
    struct presence *p = t->p;
    bool has_members = t->is_open && t->is_ready;
    tk_buf_clear(&p->diff);
    if (!presence_set_flush(&t->set, has_members ? &p->diff : NULL))
        return;
    drop_state(t);
    if (has_members)
        p->ops->on_diff(p->arg, t, tk_buf_slice(&p->diff));
}

/*
 * Writing
 */

/* What one transaction says: texts in one buffer, and where each begins and ends. */
struct draft {
    struct tk_slice *refs;
    struct tk_slice *entries;
    struct tk_slice *removed;
    size_t entry_count, removed_count;
    struct tk_buf texts;
    struct tk_buf delta;
};

static struct presence_entry *first_unsent(const struct presence_topic *t)
{
    struct presence_entry *e = t->self.origin.last;
    for (uint32_t i = 1; i < t->unsent; i++)
        e = e->origin_prev;
    return t->unsent > 0 ? e : NULL;
}

static void draft_entries(struct presence_topic *t, struct draft *d, uint64_t seq, size_t max)
{
    size_t *ends = tk_xcalloc(max + 1, sizeof(*ends));
    d->refs = tk_xcalloc(max + 1, sizeof(*d->refs));
    d->entries = tk_xcalloc(max + 1, sizeof(*d->entries));
    for (struct presence_entry *e = first_unsent(t); e && d->entry_count < max;
         e = e->origin_next) {
        struct presence_record record = presence_record_of(e);
        presence_wire_entry(&d->texts, seq, &record);
        d->refs[d->entry_count] = record.ref;
        ends[d->entry_count++] = d->texts.len;
    }
    for (size_t i = 0, start = 0; i < d->entry_count; start = ends[i++])
        d->entries[i] = tk_slice(d->texts.data + start, ends[i] - start);
    free(ends);
}

static void draft_removed(struct presence_topic *t, struct draft *d, size_t max)
{
    struct presence_removed *first = t->removed + t->removed_count - t->removed_unsent;
    d->removed = tk_xcalloc(max + 1, sizeof(*d->removed));
    while (d->removed_count < t->removed_unsent && d->removed_count < max) {
        d->removed[d->removed_count] = tk_slice(first[d->removed_count].ref, PRESENCE_REF_LEN);
        d->removed_count++;
    }
}

static void draft_fini(struct draft *d)
{
    free(d->refs);
    free(d->entries);
    free(d->removed);
    tk_buf_fini(&d->texts);
    tk_buf_fini(&d->delta);
}

static void note_written(struct presence_topic *t, const struct draft *d, uint64_t seq)
{
    struct presence_entry *e = first_unsent(t);
    for (size_t i = 0; i < d->entry_count; i++, e = e->origin_next) {
        e->is_unsent = false;
        e->is_stored = true;
    }
    t->unsent -= (uint32_t)d->entry_count;
    struct presence_removed *first = t->removed + t->removed_count - t->removed_unsent;
    for (size_t i = 0; i < d->removed_count; i++)
        first[i].seq = seq;
    t->removed_unsent -= d->removed_count;
    t->self.seq = t->self.origin.count == 0 ? 0 : seq;
    t->needs_reset = false;
    t->written_ms = t->p->now_ms;
    t->p->seq = seq;
}

/* A delta, or when everything is told anew and is too much for one, the advice to read the store.
 */
static bool write_some(struct presence_topic *t)
{
    struct presence *p = t->p;
    struct draft d = {0};
    uint64_t seq = p->seq + 1;
    uint64_t prev = t->needs_reset ? 0 : t->self.seq;
    bool is_too_much = t->needs_reset && t->unsent > PRESENCE_DELTA_MAX;
    draft_entries(t, &d, seq, t->needs_reset ? t->unsent : PRESENCE_DELTA_MAX);
    draft_removed(t, &d, t->needs_reset ? t->removed_unsent : PRESENCE_DELTA_MAX);
    if (is_too_much)
        presence_wire_delta(&d.delta, tk_slice_str(p->options.node_id), seq, seq, NULL, 0, NULL, 0);
    else
        presence_wire_delta(&d.delta, tk_slice_str(p->options.node_id), prev, seq, d.entries,
                            d.entry_count, d.removed, t->needs_reset ? 0 : d.removed_count);
    const struct presence_write w = {
        .topic = presence_topic_name(t),
        .seq = seq,
        .is_empty = t->self.origin.count == 0,
        .refs = d.refs,
        .entries = d.entries,
        .entry_count = d.entry_count,
        .removed = d.removed,
        .removed_count = d.removed_count,
        .delta = tk_buf_slice(&d.delta),
    };
    bool is_asked = p->ops->write(p->arg, &w);
    if (is_asked)
        note_written(t, &d, seq);
    draft_fini(&d);
    return is_asked;
}

static bool has_unwritten(const struct presence_topic *t)
{
    return t->unsent > 0 || t->removed_unsent > 0 || t->needs_reset;
}

static void write_out(struct presence_topic *t)
{
    struct presence *p = t->p;
    if (!p->is_linked || p->now_ms < t->write_from_ms)
        return;
    while (has_unwritten(t))
        if (!write_some(t)) {
            t->write_from_ms = p->now_ms + WRITE_RETRY_MS;
            return;
        }
}

void presence_reset(struct presence_topic *t)
{
    t->needs_reset = true;
    t->unsent = t->self.origin.count;
    for (struct presence_entry *e = t->self.origin.first; e; e = e->origin_next)
        e->is_unsent = true;
    for (size_t i = 0; i < t->removed_count; i++)
        t->removed[i].seq = 0;
    t->removed_unsent = t->removed_count;
}

/* Who took us for dead may clean up behind us while we write: that is looked after soon. */
void presence_reset_all(struct presence *p)
{
    p->floor = p->seq + 1;
    for (struct presence_topic *t = p->first_topic; t; t = t->next) {
        if (t->self.origin.count == 0 && t->removed_count == 0)
            continue;
        presence_reset(t);
        t->write_from_ms = 0;
        t->compare_ms = p->now_ms + PRESENCE_RECHECK_MS;
        write_out(t);
    }
}

static void note_removed(struct presence_topic *t, const struct presence_entry *e)
{
    if (t->removed_count == t->removed_cap) {
        t->removed_cap = t->removed_cap ? t->removed_cap * 2 : 8;
        t->removed = tk_xrealloc(t->removed, t->removed_cap * sizeof(*t->removed));
    }
    struct presence_removed *r = &t->removed[t->removed_count++];
    memcpy(r->ref, e->ref, PRESENCE_REF_LEN);
    r->seq = 0;
    t->removed_unsent++;
}

/*
 * Topics
 */

static void free_topic(struct presence_topic *t)
{
    unlink_due(t);
    presence_cancel_read(t);
    tk_map_remove(&t->p->topics, presence_topic_name(t));
    if (t == t->p->first_topic)
        t->p->first_topic = t->next;
    else
        t->prev->next = t->next;
    if (t->next)
        t->next->prev = t->prev;
    presence_set_fini(&t->set);
    drop_state(t);
    free(t->removed);
    free(t);
}

/* A closed topic stays until the store knows that we have left it. */
static bool is_done(const struct presence_topic *t)
{
    return !t->is_open && !t->is_due && t->self.origin.count == 0 && t->removed_count == 0 &&
           !has_unwritten(t);
}

static void flush(struct presence_topic *t)
{
    tk_assert(t->is_due);
    unlink_due(t);
    tell_members(t);
    write_out(t);
    if (is_done(t))
        free_topic(t);
}

void presence_settle(struct presence_topic *t)
{
    if (t->p->options.window_ms == 0 && t->is_due)
        flush(t);
}

static struct presence_topic *topic_get(struct presence *p, struct tk_slice name)
{
    struct presence_topic *t = presence_find(p, name);
    if (t)
        return t;
    t = tk_xcalloc(1, sizeof(*t) + name.len);
    t->p = p;
    t->name_len = (uint32_t)name.len;
    memcpy(t->name, name.ptr, name.len);
    presence_set_init(&t->set);
    t->self.topic = t;
    t->self.origin.is_visible = true;
    t->held_end = &t->held;
    tk_map_put(&p->topics, t);
    t->next = p->first_topic;
    if (t->next)
        t->next->prev = t;
    p->first_topic = t;
    return t;
}

struct presence_topic *presence_open(struct presence *p, struct tk_slice topic, void *owner)
{
    struct presence_topic *t = topic_get(p, topic);
    tk_assert(!t->is_open);
    t->is_open = true;
    t->owner = owner;
    t->is_ready = !p->is_linked;
    t->opened_ms = p->now_ms;
    t->compare_ms = p->now_ms + PRESENCE_COMPARE_MS;
    p->ops->subscribe(p->arg, topic);
    return t;
}

void presence_close(struct presence_topic *t)
{
    struct presence *p = t->p;
    t->is_open = false;
    t->is_ready = false;
    t->owner = NULL;
    p->ops->unsubscribe(p->arg, presence_topic_name(t));
    presence_cancel_read(t);
    while (t->parts)
        presence_drop_part(t->parts);
    presence_set_flush(&t->set, NULL);
    drop_state(t);
    if (is_done(t))
        free_topic(t);
}

void presence_become_ready(struct presence_topic *t)
{
    struct presence *p = t->p;
    if (t->is_ready || !t->is_open)
        return;
    presence_set_flush(&t->set, NULL); /* nobody has joined yet */
    t->is_ready = true;
    p->ops->on_ready(p->arg, t);
}

/*
 * Our own entries
 */

static struct presence_entry *add_own(struct presence_topic *t,
                                      const struct presence_person *person, const char *ref_prev,
                                      uint64_t wall_ms)
{
    struct presence *p = t->p;
    char ref[PRESENCE_REF_LEN + 1];
    const struct presence_meta meta = {
        .ref = tk_slice(presence_refs_next(&p->refs, ref), PRESENCE_REF_LEN),
        .ref_prev = tk_slice(ref_prev, ref_prev ? PRESENCE_REF_LEN : 0),
        .nickname = person->nickname,
        .online_at = person->online_at,
        .client = person->client,
    };
    tk_buf_clear(&p->text);
    presence_meta_write(&p->text, &meta);
    struct presence_entry *e = presence_set_add(
        &t->set, &t->self.origin,
        &(struct presence_record){
            .ref = meta.ref, .key = person->key, .meta = tk_buf_slice(&p->text), .at_ms = wall_ms});
    e->is_unsent = true;
    e->read_mark = t->read_mark;
    t->unsent++;
    presence_schedule(t);
    return e;
}

static void remove_own(struct presence_topic *t, struct presence_entry *e)
{
    tk_assert(e->origin == &t->self.origin);
    if (e->is_unsent)
        t->unsent--;
    if (e->is_stored)
        note_removed(t, e);
    presence_set_remove(&t->set, e);
    presence_schedule(t);
}

enum tk_err presence_track(struct presence_topic *t, const struct presence_person *person,
                           uint64_t wall_ms, struct presence_entry **entry)
{
    const struct presence_options *options = &t->p->options;
    if (presence_set_count(&t->set, person->key) >= options->max_per_key ||
        t->set.entries.count >= options->max_per_topic)
        return TK_ELIMIT;
    *entry = add_own(t, person, NULL, wall_ms);
    presence_settle(t);
    return TK_OK;
}

struct presence_entry *presence_update(struct presence_topic *t, struct presence_entry *entry,
                                       const struct presence_person *person, uint64_t wall_ms)
{
    struct presence_entry *e = add_own(t, person, entry->ref, wall_ms);
    remove_own(t, entry);
    presence_settle(t);
    return e;
}

void presence_untrack(struct presence_topic *t, struct presence_entry *entry)
{
    remove_own(t, entry);
    presence_settle(t);
}

void presence_keep(struct presence_topic *t, struct presence_entry *entry)
{
    presence_set_keep(&t->set, entry);
    presence_set_touch(entry);
    if (!entry->is_unsent) {
        entry->is_unsent = true;
        t->unsent++;
    }
    presence_schedule(t);
    presence_settle(t);
}

/* The batches that are due at this time. */
static void flush_until(struct presence *p, uint64_t now_ms)
{
    struct presence_topic *next;
    for (struct presence_topic *t = p->first_due; t && t->due_ms <= now_ms; t = next) {
        next = t->due_next;
        flush(t);
    }
}

size_t presence_drain(struct presence *p)
{
    size_t kept = 0;
    flush_until(p, UINT64_MAX);
    for (struct presence_topic *t = p->first_topic; t; t = t->next) {
        write_out(t);
        kept += t->self.origin.count;
    }
    return kept;
}

void presence_fini(struct presence *p)
{
    struct presence_topic *next;
    for (struct presence_topic *t = p->first_topic; t; t = next) {
        next = t->next;
        tk_assert(!t->is_open);
        free_topic(t);
    }
    tk_map_fini(&p->topics);
    presence_nodes_fini(p);
    tk_buf_fini(&p->diff);
    tk_buf_fini(&p->text);
    tk_buf_fini(&p->delta->scratch);
    free(p->delta);
}

/*
 * What the store says of our writes
 */

static void forget_removed(struct presence_topic *t, uint64_t seq)
{
    size_t done = 0;
    while (done < t->removed_count && t->removed[done].seq != 0 && t->removed[done].seq <= seq)
        done++;
    t->removed_count -= done;
    memmove(t->removed, t->removed + done, t->removed_count * sizeof(*t->removed));
    if (t->removed_count == 0) {
        free(t->removed);
        t->removed = NULL;
        t->removed_cap = 0;
    }
}

void presence_on_written(struct presence *p, struct tk_slice topic, uint64_t seq, bool ok)
{
    struct presence_topic *t = presence_find(p, topic);
    if (!t)
        return;
    if (ok) {
        if (t->removed_count > 0)
            forget_removed(t, seq);
    } else {
        presence_reset(t);
        t->write_from_ms = p->now_ms + WRITE_RETRY_MS;
    }
    if (is_done(t))
        free_topic(t);
}

void presence_on_expired(struct presence *p, struct tk_slice topic)
{
    struct presence_topic *t = presence_find(p, topic);
    if (!t || t->self.origin.count == 0)
        return;
    presence_reset(t);
    write_out(t);
}

/*
 * Time
 */

/* Joins wait for a complete topic, but not for ever. */
static void look_after_joins(struct presence *p)
{
    for (struct presence_topic *t = p->first_topic; t; t = t->next)
        if (t->is_open && !t->is_ready && p->now_ms - t->opened_ms >= READY_LIMIT_MS)
            presence_become_ready(t);
}

static void look_after_writes(struct presence *p)
{
    uint64_t renew_ms = p->options.lease_ms * PRESENCE_TTL_LEASES / 3;
    for (struct presence_topic *t = p->first_topic; t; t = t->next) {
        if (!t->is_due)
            write_out(t);
        if (t->self.origin.count > 0 && p->now_ms - t->written_ms >= renew_ms) {
            t->written_ms = p->now_ms;
            p->ops->touch(p->arg, presence_topic_name(t));
        }
    }
}

void presence_tick(struct presence *p, uint64_t now_ms)
{
    p->now_ms = now_ms;
    flush_until(p, now_ms);
    if (now_ms - p->polled_ms < PRESENCE_POLL_MS)
        return;
    p->polled_ms = now_ms;
    presence_poll_nodes(p);
    if (!p->is_linked)
        return;
    look_after_writes(p);
    look_after_joins(p);
    presence_compare_old(p);
    presence_run_reads(p);
}

uint64_t presence_next_ms(const struct presence *p)
{
    return p->first_due ? p->first_due->due_ms : UINT64_MAX;
}
