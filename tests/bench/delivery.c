/* SPDX-License-Identifier: MIT */
/*
 * The broadcasts to one room have places: 0, 1, 2. What a receiver has got is kept as "every place
 * below base, and what the bits of seen say of the 64 from base on": enough to tell duplicates,
 * disorder and loss apart without a list per client.
 *
 * A run ends when every delivery has come and nothing more for a moment (a duplicate may still be
 * under way), or when nothing has come for the plan's patience.
 */
#include "tests/bench/delivery.h"

#include <hiredis/hiredis.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/envelope.h"
#include "tests/bench/clock.h"
#include "tests/bench/ws.h"

#define LINGER_NS     (50 * NS_PER_MS)
#define SEEN_BITS     64
#define PUBLISH_BATCH 256

struct receiver {
    uint64_t base;
    uint64_t seen;
};

struct deliveries {
    struct clients *clients;
    uint32_t client_count;
    struct redisContext *redis;
    struct receiver *receivers;

    bool is_running;
    struct delivery_plan plan;
    struct delivery_result result;
    uint32_t *members;  /* per room, when the run began */
    uint64_t expected;  /* deliveries */
    uint32_t *arrived;  /* per broadcast: at how many receivers */
    uint32_t completed; /* broadcasts that arrived everywhere */
    uint64_t due_ns;    /* of the next publish */
    uint64_t last_ns;   /* when something happened last */
    uint64_t next_number;
    uint64_t strays; /* since the last run */
    const char *trouble;
    struct tk_buf payload;
    struct tk_buf frames;
};

static uint32_t room_of(const struct deliveries *d, uint64_t number)
{
    if (d->plan.room != DELIVERY_EVERY_ROOM)
        return d->plan.room;
    return (uint32_t)((number - d->plan.first) % clients_room_count(d->clients));
}

static uint64_t place_of(const struct deliveries *d, uint64_t number)
{
    uint64_t offset = number - d->plan.first;
    return d->plan.room == DELIVERY_EVERY_ROOM ? offset / clients_room_count(d->clients) : offset;
}

/* Publishing ----------------------------------------------------------------------------------- */

static void write_payload(struct deliveries *d, uint64_t number, uint64_t time_ns)
{
    tk_buf_clear(&d->payload);
    tk_buf_appendf(&d->payload, "{\"n\":%" PRIu64 ",\"t\":%" PRIu64, number, time_ns);
    size_t least = d->payload.len + strlen(",\"pad\":\"\"}");
    if (d->plan.size >= least) {
        size_t fill = d->plan.size - least;
        tk_buf_append_str(&d->payload, ",\"pad\":\"");
        memset(tk_buf_reserve(&d->payload, fill), 'x', fill);
        d->payload.len += fill;
        tk_buf_append_char(&d->payload, '"');
    }
    tk_buf_append_char(&d->payload, '}');
}

static void append_push(struct deliveries *d, uint32_t room)
{
    struct tk_buf text = {0};
    tk_buf_appendf(&text, "[\"1\",\"3\",\"%s\",\"shout\",", clients_topic(d->clients, room));
    tk_buf_append_slice(&text, tk_buf_slice(&d->payload));
    tk_buf_append_char(&text, ']');
    ws_append_client_frame(&d->frames, WS_TEXT, tk_buf_slice(&text));
    tk_buf_fini(&text);
}

static void append_redis_publish(struct deliveries *d)
{
    const char *topic = clients_topic(d->clients, d->plan.room);
    struct tk_buf envelope = {0};
    tk_envelope_write(&envelope, NULL, NULL, tk_slice_str(topic), TK_SLICE("shout"),
                      tk_buf_slice(&d->payload));
    redisAppendCommand(d->redis, "PUBLISH " TK_CHANNEL_TOPIC_PREFIX "%s %b", topic, envelope.data,
                       envelope.len);
    tk_buf_fini(&envelope);
}

static void flush_redis(struct deliveries *d, uint32_t count)
{
    for (uint32_t i = 0; i < count && !d->trouble; i++) {
        redisReply *reply = NULL;
        if (redisGetReply(d->redis, (void **)&reply) != REDIS_OK)
            d->trouble = "lost Redis";
        else if (reply->type == REDIS_REPLY_ERROR)
            d->trouble = "Redis refuses PUBLISH";
        if (reply)
            freeReplyObject(reply);
    }
}

static bool may_publish(const struct deliveries *d, uint64_t now_ns)
{
    const struct delivery_plan *plan = &d->plan;
    if (plan->publisher == PUBLISHER_NONE || d->result.published == plan->count)
        return false;
    bool is_in_window = plan->window == 0 || d->result.receivers == 0 ||
                        d->result.published - d->completed < plan->window;
    return is_in_window && now_ns >= d->due_ns;
}

/* With an open window the publisher does not wait for anybody, so a late publish is a late
 * delivery: latency then counts from when it was due. */
static uint64_t time_stamp(const struct deliveries *d, uint64_t now_ns)
{
    return d->plan.window == 0 && d->plan.interval_ns > 0 ? d->due_ns : now_ns;
}

static void plan_next(struct deliveries *d, uint64_t now_ns)
{
    bool is_steady = d->plan.window == 0;
    d->due_ns = (is_steady ? d->due_ns : now_ns) + d->plan.interval_ns;
}

static void send_pushes(struct deliveries *d, uint32_t room, uint64_t turn)
{
    if (d->frames.len > 0 && !clients_send(d->clients, room, turn, tk_buf_slice(&d->frames)))
        d->trouble = "the publisher was lost";
    tk_buf_clear(&d->frames);
}

static void publish_one(struct deliveries *d, uint64_t now_ns)
{
    uint64_t number = d->plan.first + d->result.published;
    uint32_t room = room_of(d, number);
    write_payload(d, number, time_stamp(d, now_ns));
    if (d->plan.publisher == PUBLISHER_REDIS)
        append_redis_publish(d);
    else
        append_push(d, room);
    if (d->plan.room == DELIVERY_EVERY_ROOM)
        send_pushes(d, room, place_of(d, number));
    d->result.published++;
    plan_next(d, now_ns);
}

static void publish_due(struct deliveries *d)
{
    uint64_t now_ns = clock_ns();
    uint32_t batch = 0;
    for (; batch < PUBLISH_BATCH && may_publish(d, now_ns); batch++) {
        publish_one(d, now_ns);
        now_ns = clock_ns();
    }
    if (batch == 0)
        return;
    d->last_ns = now_ns;
    if (d->plan.publisher == PUBLISHER_REDIS)
        flush_redis(d, batch);
    send_pushes(d, d->plan.room, 0);
}

/* Receiving ------------------------------------------------------------------------------------ */

/* The number behind a key at the front of text, which moves on behind it. */
static bool take_number(struct tk_slice *text, const char *key, uint64_t *value)
{
    size_t at = strlen(key), start = at;
    if (text->len < at || memcmp(text->ptr, key, at) != 0)
        return false;
    *value = 0;
    for (; at < text->len && at < start + 19 && text->ptr[at] >= '0' && text->ptr[at] <= '9'; at++)
        *value = *value * 10 + (uint64_t)(text->ptr[at] - '0');
    *text = tk_slice(text->ptr + at, text->len - at);
    return at > start;
}

/* Is one of the same sender already there that was sent after the one at this bit? Several senders
 * take turns (clients_send), and between them there is no order. */
static bool has_overtaken(uint64_t seen, uint32_t bit, uint32_t senders)
{
    for (uint64_t later = (uint64_t)bit + senders; later < SEEN_BITS; later += senders)
        if (seen >> later & 1)
            return true;
    return false;
}

/* True when the receiver sees this place for the first time. */
static bool note_place(struct receiver *r, uint64_t place, uint32_t senders,
                       struct delivery_result *result)
{
    if (place < r->base) {
        result->duplicates++;
        return false;
    }
    if (place - r->base >= SEEN_BITS) {
        uint64_t shift = place - r->base - (SEEN_BITS - 1);
        r->seen = shift < SEEN_BITS ? r->seen >> shift : 0;
        r->base += shift;
    }
    uint32_t bit = (uint32_t)(place - r->base);
    if (r->seen >> bit & 1) {
        result->duplicates++;
        return false;
    }
    if (has_overtaken(r->seen, bit, senders))
        result->out_of_order++;
    r->seen |= (uint64_t)1 << bit;
    while (r->seen & 1) {
        r->seen >>= 1;
        r->base++;
    }
    return true;
}

static void on_shout(void *arg, uint32_t client, struct tk_slice payload, uint64_t now_ns)
{
    struct deliveries *d = arg;
    uint64_t number, time_ns;
    if (!d->is_running) {
        d->strays++;
        return;
    }
    if (!take_number(&payload, "{\"n\":", &number) || !take_number(&payload, ",\"t\":", &time_ns) ||
        number < d->plan.first || number >= d->plan.first + d->plan.count ||
        !clients_is_member(d->clients, client, room_of(d, number)) || time_ns > now_ns) {
        d->result.strays++;
        return;
    }
    uint32_t room = room_of(d, number);
    uint32_t senders = d->plan.room == DELIVERY_EVERY_ROOM ? d->members[room] : 1;
    if (!note_place(&d->receivers[client], place_of(d, number), senders, &d->result))
        return;
    d->result.deliveries++;
    d->result.end_ns = d->last_ns = now_ns;
    histogram_add(&d->result.latencies, now_ns - time_ns);
    if (++d->arrived[number - d->plan.first] == d->members[room])
        d->completed++;
}

/* Beginning and end ---------------------------------------------------------------------------- */

static bool can_push_to(const struct clients *clients, uint32_t room)
{
    bool is_any = room == DELIVERY_EVERY_ROOM;
    uint32_t last = is_any ? clients_room_count(clients) - 1 : room;
    for (uint32_t r = is_any ? 0 : room; r <= last; r++)
        if (clients_in_room(clients, r) == 0)
            return false;
    return true;
}

/* Whom the run's broadcasts must reach. */
static void count_expected(struct deliveries *d)
{
    uint32_t rooms = clients_room_count(d->clients);
    d->result.receivers = d->plan.room == DELIVERY_EVERY_ROOM
                              ? clients_totals(d->clients)->joined
                              : clients_in_room(d->clients, d->plan.room);
    d->expected = 0;
    for (uint32_t r = 0; r < rooms; r++)
        d->members[r] = clients_in_room(d->clients, r);
    for (uint32_t i = 0; i < d->plan.count; i++)
        d->expected += d->members[room_of(d, d->plan.first + i)];
}

const char *deliveries_begin(struct deliveries *d, const struct delivery_plan *plan)
{
    if (plan->publisher == PUBLISHER_PUSH && !can_push_to(d->clients, plan->room))
        return "nobody is in a room to push";
    if (plan->publisher == PUBLISHER_REDIS && !d->redis)
        return "no Redis to publish to: --redis";
    d->plan = *plan;
    if (d->plan.first == 0)
        d->plan.first = d->next_number;
    d->next_number = d->plan.first + plan->count;
    d->result = (struct delivery_result){
        .first = d->plan.first, .strays = d->strays, .start_ns = clock_ns()};
    count_expected(d);
    d->strays = 0;
    d->result.end_ns = d->result.start_ns;
    d->due_ns = d->last_ns = d->result.start_ns;
    d->completed = 0;
    d->trouble = NULL;
    free(d->arrived);
    d->arrived = tk_xcalloc((size_t)plan->count + 1, sizeof(*d->arrived));
    for (uint32_t i = 0; i < d->client_count; i++)
        d->receivers[i] = (struct receiver){0};
    d->is_running = true;
    return NULL;
}

static void finish(struct deliveries *d)
{
    d->result.missing = d->expected > d->result.deliveries ? d->expected - d->result.deliveries : 0;
    d->is_running = false;
}

uint64_t deliveries_tick(struct deliveries *d, uint64_t now_ns)
{
    if (!d->is_running)
        return NEVER_NS;
    publish_due(d);
    bool is_complete = d->completed == d->plan.count ||
                       (d->result.receivers == 0 && d->result.published == d->plan.count);
    uint64_t end_ns = d->last_ns + (is_complete ? LINGER_NS : d->plan.patience_ns);
    if (now_ns >= end_ns || d->trouble) {
        if (d->trouble)
            fprintf(stderr, "loadgen: %s\n", d->trouble);
        finish(d);
        return now_ns;
    }
    bool is_waiting_for_time = !is_complete && d->due_ns > now_ns && may_publish(d, d->due_ns);
    return is_waiting_for_time && d->due_ns < end_ns ? d->due_ns : end_ns;
}

bool deliveries_are_running(const struct deliveries *d)
{
    return d->is_running;
}

const struct delivery_result *deliveries_result(const struct deliveries *d)
{
    return &d->result;
}

struct deliveries *deliveries_new(struct clients *clients, uint32_t client_count,
                                  struct redisContext *redis)
{
    struct deliveries *d = tk_xcalloc(1, sizeof(*d));
    d->clients = clients;
    d->client_count = client_count;
    d->redis = redis;
    d->receivers = tk_xcalloc((size_t)client_count + 1, sizeof(*d->receivers));
    d->members = tk_xcalloc(clients_room_count(clients), sizeof(*d->members));
    d->next_number = 1;
    clients_on_shout(clients, on_shout, d);
    return d;
}

void deliveries_free(struct deliveries *d)
{
    tk_buf_fini(&d->payload);
    tk_buf_fini(&d->frames);
    free(d->arrived);
    free(d->members);
    free(d->receivers);
    free(d);
}
