/* SPDX-License-Identifier: MIT */
/*
 * Many Phoenix clients in one process: connects them at a bounded rate, joins each to one topic,
 * sends its heartbeats, and hands the broadcasts that arrive to a callback.
 *
 * Client number n (from options.first on) is always the same one: the user whose id ends in n, from
 * the n-th source port of 127.0.x.y, in room n modulo options.rooms.
 */
#pragma once

#include <netinet/in.h>

#include "common/tk_base.h"
#include "tests/bench/histogram.h"

#define CLIENTS_MAX_FRAME (64U << 10) /* bytes in a frame from the server; none here is larger */

struct clients;

/* A broadcast of event "shout": who got it, its payload, and when the read returned. */
typedef void (*clients_shout_fn)(void *arg, uint32_t client, struct tk_slice payload,
                                 uint64_t now_ns);

struct clients_options {
    struct sockaddr_in server;
    uint32_t count;         /* room for so many */
    uint32_t first;         /* number of the first one */
    uint32_t rooms;         /* 0: everybody joins topic; else "<topic><n modulo rooms>" */
    const char *topic;      /* borrowed */
    uint32_t heartbeat_ms;  /* between two heartbeats of a client; also the time for the answer */
    uint32_t join_limit_ms; /* for a client from connect to joined */
    uint32_t read_bytes_per_s; /* a joined client reads no faster; 0: as fast as it can */
    bool comes_back;           /* lost clients connect again, when phoenix.js would */
};

/* Of clients that come back, since clients_begin_return. */
struct clients_return {
    uint32_t lost;     /* joined clients that lost their connection */
    uint32_t returned; /* joined again */
    uint64_t attempts; /* connects */
    uint64_t first_lost_ns, last_returned_ns;
    struct histogram times; /* from lost to joined again */
};

struct clients_totals {
    uint32_t connecting; /* begun and not yet joined */
    uint32_t joined;
    uint32_t failed; /* did not get in, or were lost afterwards, and do not come back */
    uint32_t away;   /* wait to connect again */
    uint64_t heartbeats_sent;
    uint64_t heartbeats_answered;
    uint64_t unexpected_frames; /* neither a shout, nor a reply or presence */
};

struct clients *clients_new(int epoll_fd, const struct clients_options *options);
void clients_free(struct clients *c);

/* Who hears of broadcasts; until then they are ignored. */
void clients_on_shout(struct clients *c, clients_shout_fn fn, void *arg);

/* Messages about presence, as whole as they come: a large one in pieces. Ignored until then. */
typedef void (*clients_presence_fn)(void *arg, uint32_t client, struct tk_slice piece,
                                    bool is_first, uint64_t now_ns);
void clients_on_presence(struct clients *c, clients_presence_fn fn, void *arg);

/* Lets count more clients in, connects_per_s at most and max_connecting at a time. */
void clients_begin_join(struct clients *c, uint32_t count, uint32_t connects_per_s,
                        uint32_t max_connecting);
bool clients_are_joining(const struct clients *c);

/* Time from connect to the join reply, of the clients of the last clients_begin_join. */
const struct histogram *clients_join_times(const struct clients *c);

/* Counts anew. A client that was not joined then is counted when it is lost the next time. */
void clients_begin_return(struct clients *c);
const struct clients_return *clients_return(const struct clients *c);

/* Does what is due now; returns when there is something to do again (CLOCK_MONOTONIC, ns). */
uint64_t clients_tick(struct clients *c, uint64_t now_ns);

/* An epoll event whose data.u64 is below options.count. */
void clients_on_event(struct clients *c, uint64_t index, uint32_t events);

const struct clients_totals *clients_totals(const struct clients *c);
uint32_t clients_in_room(const struct clients *c, uint32_t room); /* joined now */
bool clients_is_member(const struct clients *c, uint32_t client, uint32_t room);

/*
 * Sends bytes (whole client frames) as a member of the room, in turn: turn 0 is the first one, and
 * behind the last one it begins anew. False if nobody can.
 */
bool clients_send(struct clients *c, uint32_t room, uint64_t turn, struct tk_slice frames);

bool clients_is_joined(const struct clients *c, uint32_t client);
const char *clients_topic_of(const struct clients *c, uint32_t client);
/* Sends a message of one joined client; what is answered to it is only looked at for errors. */
void clients_push(struct clients *c, uint32_t client, struct tk_slice text);

uint32_t clients_room_count(const struct clients *c);
const char *clients_topic(const struct clients *c, uint32_t room);
