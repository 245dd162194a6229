/* SPDX-License-Identifier: MIT */
/*
 * A bucket is one number: when it will be full again. Taking a token moves that moment by the time
 * a token takes to drip in; a bucket is empty when it lies a whole minute ahead. So a full bucket
 * is one of the past, needs no sweeping up, and its place is free.
 *
 * The table is an array of small sets, found by a keyed hash (nobody can choose addresses that
 * meet in one set). All of it is atomics: no worker waits for another or holds anything when it is
 * killed. Two workers that claim one place at the same time may lose a token or two.
 */
#include "fcgi-api/rate_limit.h"

#include <openssl/sha.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "common/tk_uuid.h"
#include "fcgi-api/shared_memory.h"

#define WINDOW_US UINT64_C(60000000)
#define SETS      4096
#define WAYS      8

struct bucket {
    _Atomic uint64_t owner; /* hash of an address; 0: nobody yet */
    _Atomic uint64_t full_at_us[RATE_CLASS_COUNT];
};

struct bucket_table {
    struct bucket sets[SETS][WAYS];
};

struct rate_limits {
    uint64_t token_us[RATE_CLASS_COUNT]; /* how long a token takes to drip in; 0: no limit */
    struct tk_uuid key;
    struct bucket_table *table;
};

struct rate_limits *rate_limits_new(const unsigned per_minute[RATE_CLASS_COUNT])
{
    struct rate_limits *limits = tk_xcalloc(1, sizeof(*limits));

    for (int kind = 0; kind < RATE_CLASS_COUNT; kind++)
        limits->token_us[kind] = per_minute[kind] > 0 ? WINDOW_US / per_minute[kind] : 0;
    tk_uuid_random(&limits->key);
    limits->table = shared_memory_new(sizeof(*limits->table));
    return limits;
}

void rate_limits_free(struct rate_limits *limits)
{
    if (limits == NULL)
        return;
    shared_memory_free(limits->table, sizeof(*limits->table));
    free(limits);
}

bool rate_limits_are_on(const struct rate_limits *limits, enum rate_class kind)
{
    return limits->token_us[kind] > 0;
}

static uint64_t hash_of(const struct rate_limits *limits, const struct client_address *address)
{
    uint8_t text[sizeof(limits->key.bytes) + sizeof(address->bytes)];
    uint8_t digest[SHA256_DIGEST_LENGTH];
    uint64_t hash;

    memcpy(text, limits->key.bytes, sizeof(limits->key.bytes));
    memcpy(text + sizeof(limits->key.bytes), address->bytes, sizeof(address->bytes));
    SHA256(text, sizeof(text), digest);
    memcpy(&hash, digest, sizeof(hash));
    return hash != 0 ? hash : 1;
}

/* When all buckets of this place are full again. */
static uint64_t busy_until(struct bucket *bucket)
{
    uint64_t latest = 0;

    for (int kind = 0; kind < RATE_CLASS_COUNT; kind++) {
        uint64_t full_at = atomic_load(&bucket->full_at_us[kind]);
        if (full_at > latest)
            latest = full_at;
    }
    return latest;
}

static struct bucket *find(struct bucket *set, uint64_t hash)
{
    for (size_t i = 0; i < WAYS; i++) {
        if (atomic_load(&set[i].owner) == hash)
            return &set[i];
    }
    return NULL;
}

/* The place that is free first goes to a new owner. NULL when somebody else was faster. */
static struct bucket *claim(struct bucket *set, uint64_t hash)
{
    struct bucket *chosen = &set[0];

    for (size_t i = 1; i < WAYS; i++) {
        if (busy_until(&set[i]) < busy_until(chosen))
            chosen = &set[i];
    }
    uint64_t before = atomic_load(&chosen->owner);
    if (!atomic_compare_exchange_strong(&chosen->owner, &before, hash))
        return NULL;
    for (int kind = 0; kind < RATE_CLASS_COUNT; kind++)
        atomic_store(&chosen->full_at_us[kind], 0);
    return chosen;
}

unsigned rate_limits_take(struct rate_limits *limits, const struct client_address *address,
                          enum rate_class kind, uint64_t now_us)
{
    if (!rate_limits_are_on(limits, kind))
        return 0;
    uint64_t hash = hash_of(limits, address);
    struct bucket *set = limits->table->sets[hash % SETS];
    struct bucket *bucket = find(set, hash);
    if (bucket == NULL && (bucket = claim(set, hash)) == NULL)
        return 0;

    uint64_t before = atomic_load(&bucket->full_at_us[kind]), after;
    do {
        after = (before > now_us ? before : now_us) + limits->token_us[kind];
        if (after > now_us + WINDOW_US)
            return (unsigned)((after - now_us - WINDOW_US + 999999) / 1000000);
    } while (!atomic_compare_exchange_weak(&bucket->full_at_us[kind], &before, after));
    return 0;
}
