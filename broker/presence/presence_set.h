/* SPDX-License-Identifier: MIT */
/*
 * The presences of one topic as this worker knows them, and as its members were told. Changes are
 * made at once and told in batches: an entry remembers whether members see it, so that a batch is
 * the difference between what is and what is shown, however often things changed meanwhile (C116).
 *
 * An entry belongs to an origin: one node's part of the topic. It is to be seen while its origin
 * is; a kept one, whose client was sent away by a draining worker, only until its user has another
 * entry here (C129).
 */
#pragma once

#include "broker/presence/presence_meta.h"
#include "common/tk_map.h"

struct presence_key;

struct presence_origin {
    struct presence_entry *first, *last;
    uint32_t count;
    bool is_visible;
};

/* Everything that is known of an entry, as it travels. */
struct presence_record {
    struct tk_slice ref;
    struct tk_slice key;
    struct tk_slice meta; /* JSON object, ref included */
    uint64_t at_ms;       /* since 1970: when its channel was first tracked */
    bool is_kept;
};

struct presence_entry {
    struct presence_key *key;
    struct presence_origin *origin;
    struct presence_entry *prev, *next;               /* of the key, oldest first (C104) */
    struct presence_entry *origin_prev, *origin_next; /* of the origin */
    struct presence_entry *prev_changed, *next_changed;
    uint64_t at_ms;
    bool is_gone; /* removed, and remembered because it is shown */
    bool is_kept;
    bool is_shown;   /* members know it */
    bool is_changed; /* on the list of changes: is_shown is not what it should be */
    /* For the owner of the set (presence.c). */
    bool is_unsent;     /* own: to be written */
    bool is_stored;     /* own: others may have heard of it */
    bool is_confirmed;  /* scratch: named by the delta at hand */
    uint32_t read_mark; /* the last read of the store that named it */
    uint32_t told_mark; /* the read during which a delta brought it */
    uint64_t stamp;     /* its node's sequence number when it was written */
    uint32_t meta_len;
    char ref[PRESENCE_REF_LEN + 1];
    char meta[];
};

struct presence_set {
    struct tk_map entries; /* by ref; those that are not gone */
    struct tk_map keys;
    struct presence_key *first_key, *last_key; /* oldest first */
    struct presence_entry *first_changed, *last_changed;
    uint32_t shown_keys; /* users whom members see: the count of a topic (C179) */
    uint32_t shown_entries;
    size_t shown_bytes; /* of their keys and metas */
    uint32_t pass;
};

void presence_set_init(struct presence_set *set);
void presence_set_fini(struct presence_set *set); /* frees all entries */

struct presence_entry *presence_set_find(const struct presence_set *set, struct tk_slice ref);

/* Adds an entry whose ref is not in the set; copies the record. */
struct presence_entry *presence_set_add(struct presence_set *set, struct presence_origin *origin,
                                        const struct presence_record *record);
void presence_set_remove(struct presence_set *set, struct presence_entry *entry);
void presence_set_keep(struct presence_set *set, struct presence_entry *entry);
/* To the end of its origin's list, where the newest are. */
void presence_set_touch(struct presence_entry *entry);
void presence_set_remove_origin(struct presence_set *set, struct presence_origin *origin);
void presence_set_show_origin(struct presence_set *set, struct presence_origin *origin,
                              bool is_visible);

struct presence_record presence_record_of(const struct presence_entry *entry);
struct tk_slice presence_entry_key(const struct presence_entry *entry);

/* How many entries a key has, gone ones not counted. */
uint32_t presence_set_count(const struct presence_set *set, struct tk_slice name);

static inline bool presence_set_has_changes(const struct presence_set *set)
{
    return set->first_changed != NULL;
}

/*
 * Makes the changes known: appends {"joins":{...},"leaves":{...}} to diff (NULL: nobody is there to
 * be told) and counts them as shown. False, and nothing appended: there are none. The entries'
 * order is that of C104; the same key may be in both (C111).
 */
bool presence_set_flush(struct presence_set *set, struct tk_buf *diff);

/* Appends the state that members know (C99). */
void presence_set_write_state(const struct presence_set *set, struct tk_buf *out);
