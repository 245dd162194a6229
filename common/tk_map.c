/* SPDX-License-Identifier: MIT */
/*
 * The hash map: linear probing over a power-of-two table that is at most three quarters full.
 * Removing shifts the following entries back, so there are no tombstones and a probe always ends at
 * the first empty slot. The hash is kept beside the value: growing needs no keys, and a probe
 * compares keys only when the hashes are equal.
 */
#include "common/tk_map.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

#define MIN_CAP 8

struct tk_map_slot {
    uint64_t hash;
    void *value; /* NULL: empty */
};

void tk_map_init(struct tk_map *map, tk_map_key_fn key_of)
{
    *map = (struct tk_map){.key_of = key_of};
}

void tk_map_fini(struct tk_map *map)
{
    free(map->slots);
    tk_map_init(map, map->key_of);
}

/* Where the key is, or the empty slot where it would go. The table must not be empty. */
static size_t probe(const struct tk_map *map, struct tk_slice key, uint64_t hash)
{
    size_t mask = map->cap - 1;
    size_t i = hash & mask;

    while (map->slots[i].value != NULL) {
        const struct tk_map_slot *slot = &map->slots[i];
        if (slot->hash == hash && tk_slice_eq(map->key_of(slot->value), key))
            break;
        i = (i + 1) & mask;
    }
    return i;
}

static void resize(struct tk_map *map, size_t cap)
{
    struct tk_map_slot *slots = tk_xcalloc(cap, sizeof(*slots));

    for (size_t i = 0; i < map->cap; i++) {
        if (map->slots[i].value == NULL)
            continue;
        size_t j = map->slots[i].hash & (cap - 1);
        while (slots[j].value != NULL)
            j = (j + 1) & (cap - 1);
        slots[j] = map->slots[i];
    }
    free(map->slots);
    map->slots = slots;
    map->cap = cap;
}

void *tk_map_find(const struct tk_map *map, struct tk_slice key)
{
    if (map->count == 0)
        return NULL;
    return map->slots[probe(map, key, tk_hash(key))].value;
}

void tk_map_put(struct tk_map *map, void *value)
{
    tk_assert(value != NULL);
    if (map->count >= map->cap / 4 * 3)
        resize(map, map->cap > 0 ? map->cap * 2 : MIN_CAP);

    struct tk_slice key = map->key_of(value);
    uint64_t hash = tk_hash(key);
    struct tk_map_slot *slot = &map->slots[probe(map, key, hash)];
    tk_assert(slot->value == NULL);
    *slot = (struct tk_map_slot){hash, value};
    map->count++;
}

/* Moves later entries of the run into the hole, unless that would put one before its home slot. */
static void close_hole(struct tk_map *map, size_t hole)
{
    size_t mask = map->cap - 1;

    for (size_t i = (hole + 1) & mask; map->slots[i].value != NULL; i = (i + 1) & mask) {
        size_t home = map->slots[i].hash & mask;
        if (((i - home) & mask) >= ((i - hole) & mask)) {
            map->slots[hole] = map->slots[i];
            hole = i;
        }
    }
    map->slots[hole].value = NULL;
}

void *tk_map_remove(struct tk_map *map, struct tk_slice key)
{
    if (map->count == 0)
        return NULL;

    size_t i = probe(map, key, tk_hash(key));
    void *value = map->slots[i].value;
    if (value == NULL)
        return NULL;

    close_hole(map, i);
    map->count--;
    if (map->count == 0)
        tk_map_fini(map);
    else if (map->cap > MIN_CAP && map->count < map->cap / 8)
        resize(map, map->cap / 2);
    return value;
}

void *tk_map_next(const struct tk_map *map, size_t *pos)
{
    while (*pos < map->cap) {
        void *value = map->slots[(*pos)++].value;
        if (value != NULL)
            return value;
    }
    return NULL;
}

static uint64_t rotl(uint64_t x, unsigned bits)
{
    return x << bits | x >> (64 - bits);
}

static inline void sip_round(uint64_t v[4])
{
    v[0] += v[1];
    v[2] += v[3];
    v[1] = rotl(v[1], 13) ^ v[0];
    v[3] = rotl(v[3], 16) ^ v[2];
    v[0] = rotl(v[0], 32);
    v[2] += v[1];
    v[0] += v[3];
    v[1] = rotl(v[1], 17) ^ v[2];
    v[3] = rotl(v[3], 21) ^ v[0];
    v[2] = rotl(v[2], 32);
}

/* Up to eight bytes as a little-endian number; missing ones are zero. */
static uint64_t little_endian(const char *ptr, size_t len)
{
    uint64_t word = 0;

    if (len > 0)
        memcpy(&word, ptr, len);
    return le64toh(word);
}

uint64_t tk_siphash(const uint64_t key[2], struct tk_slice bytes)
{
    uint64_t v[4] = {
        key[0] ^ 0x736f6d6570736575ULL,
        key[1] ^ 0x646f72616e646f6dULL,
        key[0] ^ 0x6c7967656e657261ULL,
        key[1] ^ 0x7465646279746573ULL,
    };
    const char *p = bytes.ptr;
    size_t left = bytes.len;

    for (; left >= 8; p += 8, left -= 8) {
        uint64_t word = little_endian(p, 8);
        v[3] ^= word;
        sip_round(v);
        v[0] ^= word;
    }
    uint64_t last = little_endian(p, left) | (uint64_t)(bytes.len & 0xff) << 56;
    v[3] ^= last;
    sip_round(v);
    v[0] ^= last;

    v[2] ^= 0xff;
    for (int i = 0; i < 3; i++)
        sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

uint64_t tk_hash(struct tk_slice bytes)
{
    static uint64_t seed[2];
    static bool seeded;

    while (!seeded) {
        ssize_t got = getrandom(seed, sizeof(seed), 0);
        tk_assert(got == (ssize_t)sizeof(seed) || (got < 0 && errno == EINTR));
        seeded = got > 0;
    }
    return tk_siphash(seed, bytes);
}
