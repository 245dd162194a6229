/* SPDX-License-Identifier: MIT */
/*
 * How many connections each peer address has, and whether it may have one more. An IPv6 /64 network
 * counts as one address, since its owner has all of it; an IPv4 address is the same one when it
 * comes mapped into IPv6. Sockets without an address (unix) are not counted.
 */
#pragma once

#include <sys/socket.h>

#include "common/tk_map.h"

struct address_use; /* one address that has connections */

struct address_limit {
    struct tk_map map;
    size_t max; /* per address; 0: no limit, and nothing is counted */
};

void address_limit_init(struct address_limit *l, size_t max);
void address_limit_fini(struct address_limit *l);

/*
 * One more connection of this peer, to be given back. TK_ELIMIT when it has as many as it may. *use
 * is NULL when the connection is not counted.
 */
enum tk_err address_limit_take(struct address_limit *l, const struct sockaddr *peer,
                               struct address_use **use) TK_MUST_CHECK;
void address_limit_give_back(struct address_limit *l, struct address_use *use); /* NULL is fine */
