/* SPDX-License-Identifier: MIT */
/*
 * An LRU cache with a time to live: the map finds, the list orders by use. Use does not prolong the
 * time, so a change that was missed is seen after keep_ms at the latest.
 */
#include "broker/users/user_cache.h"

#include <stdlib.h>

static struct tk_slice id_slice(const struct tk_uuid *id)
{
    return tk_slice((const char *)id->bytes, sizeof(id->bytes));
}

static struct tk_slice key_of(const void *value)
{
    return id_slice(&((const struct cached_user *)value)->id);
}

void user_cache_init(struct user_cache *cache, size_t max, uint64_t keep_ms)
{
    *cache = (struct user_cache){.max = max, .keep_ms = keep_ms};
    tk_map_init(&cache->map, key_of);
}

static void unlink_user(struct user_cache *cache, struct cached_user *user)
{
    if (user->newer)
        user->newer->older = user->older;
    else
        cache->newest = user->older;
    if (user->older)
        user->older->newer = user->newer;
    else
        cache->oldest = user->newer;
}

static void link_newest(struct user_cache *cache, struct cached_user *user)
{
    user->newer = NULL;
    user->older = cache->newest;
    if (cache->newest)
        cache->newest->newer = user;
    else
        cache->oldest = user;
    cache->newest = user;
}

static void drop(struct user_cache *cache, struct cached_user *user)
{
    unlink_user(cache, user);
    tk_map_remove(&cache->map, key_of(user));
    free(user);
}

void user_cache_clear(struct user_cache *cache)
{
    while (cache->newest)
        drop(cache, cache->newest);
    tk_map_fini(&cache->map);
}

const struct cached_user *user_cache_find(struct user_cache *cache, const struct tk_uuid *id,
                                          uint64_t now_ms)
{
    struct cached_user *user = tk_map_find(&cache->map, id_slice(id));
    if (user == NULL)
        return NULL;
    if (now_ms >= user->until_ms) {
        drop(cache, user);
        return NULL;
    }
    unlink_user(cache, user);
    link_newest(cache, user);
    return user;
}

void user_cache_put(struct user_cache *cache, const struct tk_uuid *id, const char *nickname,
                    uint64_t now_ms)
{
    user_cache_forget(cache, id);
    if (cache->max == 0 || cache->keep_ms == 0)
        return;
    if (cache->map.count >= cache->max)
        drop(cache, cache->oldest);

    size_t len = nickname ? strlen(nickname) : 0;
    struct cached_user *user = tk_xcalloc(1, sizeof(*user) + len + 1);
    user->until_ms = now_ms + cache->keep_ms;
    user->id = *id;
    user->has_nickname = nickname != NULL;
    if (nickname)
        memcpy(user->nickname, nickname, len);
    tk_map_put(&cache->map, user);
    link_newest(cache, user);
}

void user_cache_forget(struct user_cache *cache, const struct tk_uuid *id)
{
    struct cached_user *user = tk_map_find(&cache->map, id_slice(id));
    if (user)
        drop(cache, user);
}

void user_cache_expire(struct user_cache *cache, uint64_t now_ms)
{
    while (cache->oldest && now_ms >= cache->oldest->until_ms)
        drop(cache, cache->oldest);
}
