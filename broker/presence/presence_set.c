/* SPDX-License-Identifier: MIT */
/*
 * Invariants: an entry is on the list of changes exactly when is_shown differs from what it should
 * be; a removed entry is freed as soon as it is not shown; a key exists while it has entries.
 */
#include "broker/presence/presence_set.h"

#include <stdlib.h>

#define PUNCTUATION (sizeof(",\"\":{\"metas\":[]}") - 1) /* around a key and its metas, at most */

struct presence_key {
    struct presence_key *prev, *next;
    struct presence_entry *first, *last;
    uint32_t entries; /* not gone */
    uint32_t live;    /* to be seen in any case */
    uint32_t kept;
    uint32_t shown;
    uint32_t pass; /* of the flush that has written it */
    uint32_t len;
    char name[];
};

static struct tk_slice ref_of(const void *value)
{
    const struct presence_entry *e = value;
    return tk_slice(e->ref, PRESENCE_REF_LEN);
}

static struct tk_slice name_of(const void *value)
{
    const struct presence_key *key = value;
    return tk_slice(key->name, key->len);
}

void presence_set_init(struct presence_set *set)
{
    *set = (struct presence_set){0};
    tk_map_init(&set->entries, ref_of);
    tk_map_init(&set->keys, name_of);
}

void presence_set_fini(struct presence_set *set)
{
    struct presence_key *next_key;
    for (struct presence_key *key = set->first_key; key; key = next_key) {
        struct presence_entry *next;
        for (struct presence_entry *e = key->first; e; e = next) {
            next = e->next;
            free(e);
        }
        next_key = key->next;
        free(key);
    }
    tk_map_fini(&set->entries);
    tk_map_fini(&set->keys);
}

struct presence_entry *presence_set_find(const struct presence_set *set, struct tk_slice ref)
{
    return tk_map_find(&set->entries, ref);
}

struct tk_slice presence_entry_key(const struct presence_entry *entry)
{
    return name_of(entry->key);
}

struct presence_record presence_record_of(const struct presence_entry *e)
{
    return (struct presence_record){
        .ref = tk_slice(e->ref, PRESENCE_REF_LEN),
        .key = name_of(e->key),
        .meta = tk_slice(e->meta, e->meta_len),
        .at_ms = e->at_ms,
        .is_kept = e->is_kept,
    };
}

uint32_t presence_set_count(const struct presence_set *set, struct tk_slice name)
{
    const struct presence_key *key = tk_map_find(&set->keys, name);
    return key ? key->entries : 0;
}

/*
 * Keys
 */

static struct presence_key *get_key(struct presence_set *set, struct tk_slice name)
{
    struct presence_key *key = tk_map_find(&set->keys, name);
    if (key)
        return key;
    key = tk_xcalloc(1, sizeof(*key) + name.len);
    key->len = (uint32_t)name.len;
    memcpy(key->name, name.ptr, name.len);
    tk_map_put(&set->keys, key);
    key->prev = set->last_key;
    if (key->prev)
        key->prev->next = key;
    else
        set->first_key = key;
    set->last_key = key;
    return key;
}

static void free_key(struct presence_set *set, struct presence_key *key)
{
    tk_map_remove(&set->keys, name_of(key));
    if (key == set->first_key)
        set->first_key = key->next;
    else
        key->prev->next = key->next;
    if (key->next)
        key->next->prev = key->prev;
    else
        set->last_key = key->prev;
    free(key);
}

static void link_to_key(struct presence_entry *e, struct presence_key *key)
{
    struct presence_entry *before = key->last;
    while (before && before->at_ms > e->at_ms)
        before = before->prev;
    e->key = key;
    e->prev = before;
    e->next = before ? before->next : key->first;
    if (e->prev)
        e->prev->next = e;
    else
        key->first = e;
    if (e->next)
        e->next->prev = e;
    else
        key->last = e;
}

static void unlink_from_key(struct presence_entry *e)
{
    if (e->prev)
        e->prev->next = e->next;
    else
        e->key->first = e->next;
    if (e->next)
        e->next->prev = e->prev;
    else
        e->key->last = e->prev;
}

/*
 * What should be seen
 */

static bool is_live(const struct presence_entry *e)
{
    return !e->is_gone && !e->is_kept && e->origin->is_visible;
}

static bool is_to_be_seen(const struct presence_entry *e)
{
    if (e->is_gone || !e->origin->is_visible)
        return false;
    return !e->is_kept || e->key->live == 0;
}

static void link_changed(struct presence_set *set, struct presence_entry *e)
{
    e->is_changed = true;
    e->next_changed = NULL;
    e->prev_changed = set->last_changed;
    if (e->prev_changed)
        e->prev_changed->next_changed = e;
    else
        set->first_changed = e;
    set->last_changed = e;
}

static void unlink_changed(struct presence_set *set, struct presence_entry *e)
{
    e->is_changed = false;
    if (e == set->first_changed)
        set->first_changed = e->next_changed;
    else
        e->prev_changed->next_changed = e->next_changed;
    if (e->next_changed)
        e->next_changed->prev_changed = e->prev_changed;
    else
        set->last_changed = e->prev_changed;
}

static void free_entry(struct presence_set *set, struct presence_entry *e)
{
    struct presence_key *key = e->key;
    unlink_from_key(e);
    free(e);
    if (!key->first)
        free_key(set, key);
}

/* Keeps the list of changes right after something about e has changed. */
static void review(struct presence_set *set, struct presence_entry *e)
{
    bool is_change = is_to_be_seen(e) != e->is_shown;
    if (is_change && !e->is_changed)
        link_changed(set, e);
    else if (!is_change && e->is_changed)
        unlink_changed(set, e);
}

/* Kept entries give way when the user's first other entry comes, and return when the last leaves.
 */
static void count_live(struct presence_set *set, struct presence_key *key, bool was, bool is)
{
    if (was == is)
        return;
    uint32_t before = key->live;
    key->live = is ? before + 1 : before - 1;
    if (key->kept == 0 || (before > 0 && key->live > 0))
        return;
    for (struct presence_entry *e = key->first; e; e = e->next)
        if (e->is_kept && !e->is_gone)
            review(set, e);
}

/*
 * Changes
 */

static void link_to_origin(struct presence_entry *e, struct presence_origin *origin)
{
    e->origin = origin;
    e->origin_next = NULL;
    e->origin_prev = origin->last;
    if (e->origin_prev)
        e->origin_prev->origin_next = e;
    else
        origin->first = e;
    origin->last = e;
    origin->count++;
}

static void unlink_from_origin(struct presence_entry *e)
{
    struct presence_origin *origin = e->origin;
    if (e == origin->first)
        origin->first = e->origin_next;
    else
        e->origin_prev->origin_next = e->origin_next;
    if (e->origin_next)
        e->origin_next->origin_prev = e->origin_prev;
    else
        origin->last = e->origin_prev;
    origin->count--;
    e->origin = NULL; /* it may end before the entry does */
}

/*
 * A ref that comes back before members were told that it left: its node was given up too early.
 * For members nothing has happened; a diff with the ref on both sides would remove it.
 */
static struct presence_entry *find_gone(const struct presence_set *set,
                                        const struct presence_record *record)
{
    const struct presence_key *key = tk_map_find(&set->keys, record->key);
    for (struct presence_entry *e = key ? key->first : NULL; e; e = e->next)
        if (e->is_gone && tk_slice_eq(ref_of(e), record->ref))
            return e;
    return NULL;
}

static struct presence_entry *new_entry(struct presence_set *set,
                                        const struct presence_record *record)
{
    struct presence_entry *e = tk_xcalloc(1, sizeof(*e) + record->meta.len);
    tk_assert(record->ref.len == PRESENCE_REF_LEN);
    memcpy(e->ref, record->ref.ptr, PRESENCE_REF_LEN);
    memcpy(e->meta, record->meta.ptr, record->meta.len);
    e->meta_len = (uint32_t)record->meta.len;
    e->at_ms = record->at_ms;
    link_to_key(e, get_key(set, record->key));
    return e;
}

struct presence_entry *presence_set_add(struct presence_set *set, struct presence_origin *origin,
                                        const struct presence_record *record)
{
    struct presence_entry *e = find_gone(set, record);
    if (!e)
        e = new_entry(set, record);
    e->is_gone = false;
    e->is_kept = record->is_kept;
    tk_map_put(&set->entries, e);
    link_to_origin(e, origin);
    e->key->entries++;
    e->key->kept += e->is_kept;
    count_live(set, e->key, false, is_live(e));
    review(set, e);
    return e;
}

void presence_set_remove(struct presence_set *set, struct presence_entry *e)
{
    struct presence_key *key = e->key;
    bool was_live = is_live(e);
    tk_assert(!e->is_gone);
    tk_map_remove(&set->entries, ref_of(e));
    unlink_from_origin(e);
    e->is_gone = true;
    key->entries--;
    key->kept -= e->is_kept;
    count_live(set, key, was_live, false);
    review(set, e);
    if (!e->is_shown)
        free_entry(set, e);
}

void presence_set_keep(struct presence_set *set, struct presence_entry *e)
{
    bool was_live = is_live(e);
    if (e->is_kept)
        return;
    e->is_kept = true;
    e->key->kept++;
    count_live(set, e->key, was_live, false);
    review(set, e);
}

void presence_set_touch(struct presence_entry *e)
{
    struct presence_origin *origin = e->origin;
    unlink_from_origin(e);
    link_to_origin(e, origin);
}

void presence_set_remove_origin(struct presence_set *set, struct presence_origin *origin)
{
    struct presence_entry *next;
    for (struct presence_entry *e = origin->first; e; e = next) {
        next = e->origin_next;
        presence_set_remove(set, e);
    }
}

void presence_set_show_origin(struct presence_set *set, struct presence_origin *origin,
                              bool is_visible)
{
    if (origin->is_visible == is_visible)
        return;
    origin->is_visible = is_visible;
    for (struct presence_entry *e = origin->first; e; e = e->origin_next)
        if (!e->is_kept)
            count_live(set, e->key, !is_visible, is_visible);
    for (struct presence_entry *e = origin->first; e; e = e->origin_next)
        review(set, e);
}

/*
 * What members are told
 */

static void write_metas_begin(struct tk_buf *out, const struct presence_key *key)
{
    if (out->data[out->len - 1] != '{')
        tk_buf_append_char(out, ',');
    tk_buf_append_char(out, '"');
    tk_buf_append(out, key->name, key->len); /* needs no escapes: presence_key_is_valid */
    tk_buf_append_str(out, "\":{\"metas\":[");
}

static void write_meta(struct tk_buf *out, const struct presence_entry *e)
{
    if (out->data[out->len - 1] != '[')
        tk_buf_append_char(out, ',');
    tk_buf_append(out, e->meta, e->meta_len);
}

/* All changes of one direction, a key's together. */
static void write_changes(struct presence_set *set, struct tk_buf *out, bool joins)
{
    set->pass++;
    tk_buf_append_char(out, '{');
    for (struct presence_entry *c = set->first_changed; c; c = c->next_changed) {
        if (c->is_shown == joins || c->key->pass == set->pass)
            continue;
        c->key->pass = set->pass;
        write_metas_begin(out, c->key);
        for (struct presence_entry *e = c->key->first; e; e = e->next)
            if (e->is_changed && e->is_shown != joins)
                write_meta(out, e);
        tk_buf_append_str(out, "]}");
    }
    tk_buf_append_char(out, '}');
}

static void show(struct presence_set *set, struct presence_entry *e)
{
    struct presence_key *key = e->key;
    uint32_t before = key->shown;
    size_t bytes = e->meta_len + key->len;
    e->is_shown = !e->is_shown;
    key->shown = e->is_shown ? before + 1 : before - 1;
    set->shown_entries = e->is_shown ? set->shown_entries + 1 : set->shown_entries - 1;
    set->shown_bytes = e->is_shown ? set->shown_bytes + bytes : set->shown_bytes - bytes;
    if (before == 0)
        set->shown_keys++;
    else if (key->shown == 0)
        set->shown_keys--;
    unlink_changed(set, e);
    if (e->is_gone)
        free_entry(set, e);
}

bool presence_set_flush(struct presence_set *set, struct tk_buf *diff)
{
    if (!set->first_changed)
        return false;
    if (diff) {
        tk_buf_append_str(diff, "{\"joins\":");
        write_changes(set, diff, true);
        tk_buf_append_str(diff, ",\"leaves\":");
        write_changes(set, diff, false);
        tk_buf_append_char(diff, '}');
    }
    while (set->first_changed)
        show(set, set->first_changed);
    return true;
}

void presence_set_write_state(const struct presence_set *set, struct tk_buf *out)
{
    tk_buf_reserve(out, set->shown_bytes + set->shown_entries * PUNCTUATION + 2);
    tk_buf_append_char(out, '{');
    for (const struct presence_key *key = set->first_key; key; key = key->next) {
        if (key->shown == 0)
            continue;
        write_metas_begin(out, key);
        for (const struct presence_entry *e = key->first; e; e = e->next)
            if (e->is_shown)
                write_meta(out, e);
        tk_buf_append_str(out, "]}");
    }
    tk_buf_append_char(out, '}');
}
