/* SPDX-License-Identifier: MIT */
/*
 * The listening socket of one worker: SO_REUSEPORT, so that every worker has its own queue on the
 * shared port and the kernel spreads clients over them. A worker that is full closes its socket, so
 * that the kernel asks the others; it opens it again when there is room. Clients that come faster
 * than TAKO_ACCEPTS_PER_S wait in the kernel's queue, and so delay nobody but themselves.
 */
#pragma once

#include <uv.h>

#include "broker/rate_limit.h"
#include "common/tk_log.h"

struct broker;
struct handshakes;

struct listener {
    struct broker *broker;
    struct handshakes *handshakes;
    uv_poll_t *poll; /* NULL while closed */
    int fd;
    bool is_stopped; /* for good: draining */
    bool is_paused;  /* until the next accept is due (C166) */
    uv_timer_t resume;
    struct rate_limit accepts;
    struct tk_log_limit failed_log;
};

/*
 * A socket bound to the broker's address, which does not listen yet: until it does, no client is
 * sent to it. shared: SO_REUSEPORT, for workers; without it the port must be free, which is how the
 * supervisor finds out that it is not. -1 with errno set; EADDRNOTAVAIL also for a host name that
 * is not known.
 */
int listener_bind(const char *host, int port, bool shared);

enum tk_err listener_start(struct listener *l, struct broker *b,
                           struct handshakes *hs) TK_MUST_CHECK;

/* Now and then: opens or closes the socket as there is room or not. */
void listener_check_room(struct listener *l);

/* Takes what already waits in the queue, then stops for good. Before the loop is closed. */
void listener_stop(struct listener *l);
