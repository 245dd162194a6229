/* SPDX-License-Identifier: MIT */
#pragma once

#include "common/tk_map.h"
#include "common/tk_uuid.h"

/*
 * Users by id, for a limited time and in a limited number: the least recently used one makes room.
 * It knows no clock; the caller says what time it is.
 */
struct user_cache {
    struct tk_map map;
    struct cached_user *newest, *oldest;
    size_t max; /* 0: remembers nobody */
    uint64_t keep_ms;
};

struct cached_user {
    struct cached_user *newer, *older;
    uint64_t until_ms;
    struct tk_uuid id;
    bool has_nickname;
    char nickname[]; /* terminated */
};

void user_cache_init(struct user_cache *cache, size_t max, uint64_t keep_ms);
void user_cache_clear(struct user_cache *cache); /* forgets everybody, gives the memory back */

/* NULL when unknown or remembered for too long. Borrowed until the cache changes. */
const struct cached_user *user_cache_find(struct user_cache *cache, const struct tk_uuid *id,
                                          uint64_t now_ms);

/* nickname is copied and may be NULL. Replaces what was remembered. */
void user_cache_put(struct user_cache *cache, const struct tk_uuid *id, const char *nickname,
                    uint64_t now_ms);

void user_cache_forget(struct user_cache *cache, const struct tk_uuid *id);

/*
 * Gives back the memory of users whose time is over; those who were used after others who still
 * have time stay a little longer, though they are not found any more.
 */
void user_cache_expire(struct user_cache *cache, uint64_t now_ms);
