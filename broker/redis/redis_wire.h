/* SPDX-License-Identifier: MIT */
/*
 * One connection to Redis on the libuv loop: connects, logs in, sends what was appended, and hands
 * over replies one by one. It never comes back by itself: redis_link opens the next one.
 */
#pragma once

#include <hiredis/hiredis.h>
#include <uv.h>

#include "common/tk_base.h"
#include "common/tk_buf.h"
#include "common/tk_url.h"

struct redis_wire;

struct redis_wire_events {
    /* Connected and logged in: commands may be appended. */
    void (*on_open)(void *arg, struct redis_wire *w);
    /* The next reply in order, borrowed. */
    void (*on_reply)(void *arg, struct redis_wire *w, const struct redisReply *reply);
    /* The connection is gone and must be closed from in here. why may hold bytes of the peer. */
    void (*on_lost)(void *arg, struct redis_wire *w, const char *why);
};

/*
 * Starts connecting; events come from the loop only, and each of them may close the wire. NULL when
 * that failed at once; why (size bytes) then says how. A host name in address is resolved
 * synchronously, which holds the loop for as long as the resolver takes: prefer numeric addresses
 * and unix sockets. max_reply_bytes bounds one reply; a longer one loses the connection.
 */
struct redis_wire *redis_wire_open(uv_loop_t *loop, const struct tk_redis_address *address,
                                   size_t max_reply_bytes, const struct redis_wire_events *events,
                                   void *arg, char *why, size_t size);

/* No event afterwards. Unsent output is dropped. NULL and a closed wire are fine. */
void redis_wire_close(struct redis_wire *w);

/* Where commands are appended; nothing is sent before redis_wire_flush. Only while open. */
struct tk_buf *redis_wire_out(struct redis_wire *w);

/*
 * Sends what the socket takes; the rest follows by itself. Calls nothing: a failure is reported
 * from the loop. Fine in any state.
 */
void redis_wire_flush(struct redis_wire *w);

size_t redis_wire_unsent(const struct redis_wire *w);

/* The last turn of reading ended at its limit: Redis sends faster than we read. */
bool redis_wire_is_behind(const struct redis_wire *w);

/* A command is its argument count, then its arguments (RESP2). */
void redis_wire_write_count(struct tk_buf *out, size_t argc);
void redis_wire_write_arg(struct tk_buf *out, struct tk_slice arg);

/* A bound for what one argument of len bytes takes in the output. */
static inline size_t redis_wire_arg_size(size_t len)
{
    return len + 32;
}
