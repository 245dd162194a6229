/* SPDX-License-Identifier: MIT */
/* An address is in the map exactly while it has connections. */
#include "broker/connect/address_limit.h"

#include <netinet/in.h>
#include <stdlib.h>

#define NETWORK_BYTES 8 /* of an IPv6 address */

struct address_use {
    size_t count;
    uint8_t len;
    char bytes[NETWORK_BYTES];
};

static struct tk_slice use_key(const void *value)
{
    const struct address_use *use = value;
    return tk_slice(use->bytes, use->len);
}

void address_limit_init(struct address_limit *l, size_t max)
{
    l->max = max;
    tk_map_init(&l->map, use_key);
}

void address_limit_fini(struct address_limit *l)
{
    tk_assert(l->map.count == 0);
    tk_map_fini(&l->map);
}

/* What of the address is counted; empty for a peer that has none. */
static struct tk_slice counted_part(const struct sockaddr *peer)
{
    if (peer->sa_family == AF_INET) {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)peer;
        return tk_slice((const char *)&v4->sin_addr, sizeof(v4->sin_addr));
    }
    if (peer->sa_family != AF_INET6)
        return tk_slice(NULL, 0);
    const struct in6_addr *v6 = &((const struct sockaddr_in6 *)peer)->sin6_addr;
    if (IN6_IS_ADDR_V4MAPPED(v6))
        return tk_slice((const char *)v6->s6_addr + 12, sizeof(struct in_addr));
    return tk_slice((const char *)v6->s6_addr, NETWORK_BYTES);
}

enum tk_err address_limit_take(struct address_limit *l, const struct sockaddr *peer,
                               struct address_use **use)
{
    *use = NULL;
    struct tk_slice key = l->max > 0 ? counted_part(peer) : tk_slice(NULL, 0);
    if (key.len == 0)
        return TK_OK;
    struct address_use *found = tk_map_find(&l->map, key);
    if (found && found->count >= l->max)
        return TK_ELIMIT;
    if (!found) {
        found = tk_xcalloc(1, sizeof(*found));
        found->len = (uint8_t)key.len;
        memcpy(found->bytes, key.ptr, key.len);
        tk_map_put(&l->map, found);
    }
    found->count++;
    *use = found;
    return TK_OK;
}

void address_limit_give_back(struct address_limit *l, struct address_use *use)
{
    if (!use || --use->count > 0)
        return;
    tk_map_remove(&l->map, use_key(use));
    free(use);
}
