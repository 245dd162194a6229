/* SPDX-License-Identifier: MIT */
#pragma once

#include <hiredis/hiredis.h>

#include "common/tk_base.h"
#include "common/tk_url.h"

/*
 * A synchronous connection for short-lived use (takoctl, tako-api's publishes): connects, then AUTH
 * and SELECT as the address says. timeout_ms bounds the connect (not the resolver's own waits) and
 * every read and write afterwards. The caller owns *context: redisFree. TK_EUNAVAIL: no connection
 * in time; TK_EDENIED: Redis refuses the login or the database. Then why (size bytes) holds a
 * sentence for a person, without the password. The program must ignore SIGPIPE. The broker has its
 * own asynchronous link (broker/redis/redis_link.h).
 */
enum tk_err tk_redis_connect(const struct tk_redis_address *address, int timeout_ms,
                             redisContext **context, char *why, size_t size) TK_MUST_CHECK;

/*
 * AUTH and SELECT as far as the address asks for them, appended to context's output: for a link
 * that reads the replies itself. Returns how many replies to expect (0..2).
 */
int tk_redis_append_login(redisContext *context, const struct tk_redis_address *address);
