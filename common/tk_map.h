/* SPDX-License-Identifier: MIT */
/*
 * A hash map from byte-string keys to pointers: open addressing, keyed hash (SipHash with a random
 * seed per process), because clients choose the keys. Keys are not copied: each lives in its value,
 * and the map asks for it through key_of. Grows and shrinks by itself; an empty map has no memory.
 */
#pragma once

#include "common/tk_base.h"

typedef struct tk_slice (*tk_map_key_fn)(const void *value);

struct tk_map {
    tk_map_key_fn key_of;
    struct tk_map_slot *slots;
    size_t count;
    size_t cap;
};

void tk_map_init(struct tk_map *map, tk_map_key_fn key_of);
void tk_map_fini(struct tk_map *map); /* the values stay the caller's */

void *tk_map_find(const struct tk_map *map, struct tk_slice key); /* NULL when absent */
void tk_map_put(struct tk_map *map, void *value); /* the key must not be in the map yet */
void *tk_map_remove(struct tk_map *map, struct tk_slice key); /* what was removed, or NULL */

/* Walks in no order. *pos starts at 0; NULL ends the walk. The map must not change meanwhile. */
void *tk_map_next(const struct tk_map *map, size_t *pos);

/* The keyed hash itself, for other tables that clients can fill. */
uint64_t tk_hash(struct tk_slice bytes);

/* SipHash-1-3 under a given key: what tk_hash is made of, separate to be checked against vectors.
 */
uint64_t tk_siphash(const uint64_t key[2], struct tk_slice bytes);
