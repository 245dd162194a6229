/* SPDX-License-Identifier: MIT */
/*
 * Fixed work through the broker's own code, for tests/bench/guard: that runs this under callgrind
 * and compares what an operation costs with its budget. Instructions are counted between
 * start_counting and stop_counting only; what a piece of work needs beforehand is done, and its
 * buffers are warm, when counting starts. Says which compiler it is from.
 */
#include <stdio.h>
#include <stdlib.h>

#include <valgrind/callgrind.h>

#include "broker/channels/channels.h"
#include "broker/connect/upgrade.h"
#include "broker/presence/presence_set.h"
#include "broker/websocket/ws_parser.h"
#include "tests/unit/broker/fake_client.h"

#define REPEATS   1000
#define CLIENTS   1000
#define BURST     32 /* broadcasts of one loop turn */
#define PRESENCES 1000

static const char collected[] = "[\"3\",\"4\",\"notifications\",\"collected\","
                                "{\"nickname\":\"Cruel_KFP\"}]";

static char label[64]; /* of what is being counted */

static void start_counting(const char *work, size_t operations)
{
    snprintf(label, sizeof(label), "%zu %s", operations, work);
    CALLGRIND_ZERO_STATS;
}

/* Callgrind writes what was counted under its label. */
static void stop_counting(void)
{
    CALLGRIND_DUMP_STATS_AT(label);
}

/*
 * What comes from the wire
 */

static void decode(const char *work, enum phx_vsn vsn, bool is_binary, struct tk_slice bytes)
{
    struct tk_buf scratch = {0};
    struct phx_msg msg;
    enum tk_err err = phx_decode(vsn, is_binary, bytes, &scratch, &msg);
    start_counting(work, REPEATS);
    for (int i = 0; i < REPEATS; i++)
        err |= phx_decode(vsn, is_binary, bytes, &scratch, &msg);
    stop_counting();
    tk_assert(err == TK_OK);
    tk_buf_fini(&scratch);
}

static void decode_messages(void)
{
    decode("decode-v2", PHX_V2, false, tk_slice_str(collected));
    decode("decode-v1", PHX_V1, false,
           TK_SLICE("{\"topic\":\"notifications\",\"event\":\"collected\","
                    "\"payload\":{\"nickname\":\"Cruel_KFP\"},\"ref\":\"4\"}"));
    decode("decode-binary", PHX_V2, true,
           TK_SLICE("\0\1\1\15\11"
                    "34notificationscollected\1\2\3\4\5\6\7\10"));
}

/* A masked text frame with 64 bytes, which are whatever the mask makes of them. */
static void parse_frame(void)
{
    char frame[6 + 64] = "\x81\xc0\x37\xfa\x21\x3d";
    struct ws_parser parser = {0};
    size_t messages = 0;
    start_counting("parse-frame", REPEATS);
    for (int i = 0; i < REPEATS; i++) {
        char *input = frame;
        size_t len = sizeof(frame);
        messages += ws_parser_next(&parser, &input, &len).is_final;
    }
    stop_counting();
    tk_assert(messages == REPEATS);
}

static void check_upgrade(void)
{
    static const struct tk_slice head =
        TK_SLICE_INIT("GET /socket/websocket?userToken=681adb8b-be3d-4fca-8858-2827609d9b22"
                      "&vsn=2.0.0 HTTP/1.1\r\n"
                      "Host: api.example.org\r\n"
                      "Connection: Upgrade\r\n"
                      "Pragma: no-cache\r\n"
                      "Cache-Control: no-cache\r\n"
                      "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36\r\n"
                      "Upgrade: websocket\r\n"
                      "Origin: https://www.example.org\r\n"
                      "Sec-WebSocket-Version: 13\r\n"
                      "Accept-Encoding: gzip, deflate, br\r\n"
                      "Accept-Language: en-GB,en;q=0.9\r\n"
                      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                      "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"
                      "\r\n");
    char origin[] = "https://www.example.org";
    const struct tk_string_list origins = {.items = (char *[]){origin}, .count = 1};
    struct http_head parsed;
    struct upgrade_request request;
    int failures = 0;
    start_counting("check-upgrade", REPEATS);
    for (int i = 0; i < REPEATS; i++) {
        failures += http_head_parse(head, &parsed) != HTTP_HEAD_OK;
        failures += upgrade_check_request(&parsed, &origins, &request) != UPGRADE_OK;
        failures += upgrade_check_headers(&parsed, &request) != UPGRADE_OK;
    }
    stop_counting();
    tk_assert(failures == 0);
}

/*
 * Clients, on a transport that takes everything
 */

struct client {
    struct tk_uuid user;
    struct session *session;
};

struct crowd {
    struct fake_broker broker;
    struct client clients[CLIENTS];
    size_t count;
};

static bool take_all(struct transport *t, struct tk_slice frames)
{
    (void)t;
    (void)frames;
    return true;
}

static bool is_never_blocked(struct transport *t)
{
    (void)t;
    return false;
}

static void take_close(struct transport *t, struct tk_slice frame)
{
    (void)t;
    (void)frame;
}

static void kill_client(struct transport *t)
{
    session_on_closed(((struct client *)t)->session);
}

static const struct transport_ops swallow = {
    .write = take_all,
    .is_blocked = is_never_blocked,
    .write_close = take_close,
    .kill = kill_client,
};

static void connect_clients(struct crowd *crowd, size_t count)
{
    for (; crowd->count < count; crowd->count++) {
        struct client *c = &crowd->clients[crowd->count];
        c->session = session_open(&crowd->broker.broker, PHX_V2, &c->user, "Cruel_KFP", &swallow,
                                  (struct transport *)c);
    }
}

static void say(struct crowd *crowd, size_t index, const char *text)
{
    const struct session_data message = {
        .bytes = tk_slice_str(text),
        .is_first = true,
        .is_final = true,
    };
    session_on_data(crowd->clients[index].session, &message);
    broker_end_turn(&crowd->broker.broker);
}

static void all_say(struct crowd *crowd, const char *text)
{
    for (size_t i = 0; i < crowd->count; i++)
        say(crowd, i, text);
}

static void crowd_init(struct crowd *crowd, size_t count)
{
    crowd->count = 0;
    for (unsigned i = 0; i < CLIENTS; i++)
        crowd->clients[i].user = fake_user(i);
    fake_broker_init(&crowd->broker, user_socket_channels);
    connect_clients(crowd, count);
    all_say(crowd, "[\"3\",\"3\",\"notifications\",\"phx_join\",{}]");
}

static size_t member_count(const struct crowd *crowd)
{
    const struct topic *t = topic_find(&crowd->broker.broker.topics, TK_SLICE("notifications"));
    return t ? t->member_count : 0;
}

static void come_and_go(struct crowd *crowd)
{
    crowd_init(crowd, 1);
    start_counting("connect", CLIENTS - 1);
    connect_clients(crowd, CLIENTS);
    stop_counting();

    start_counting("join", CLIENTS);
    all_say(crowd, "[\"3\",\"3\",\"notifications\",\"phx_join\",{}]");
    stop_counting();
    tk_assert(member_count(crowd) == CLIENTS);

    start_counting("heartbeat", CLIENTS);
    all_say(crowd, "[null,\"9\",\"phoenix\",\"heartbeat\",{}]");
    stop_counting();

    start_counting("leave", CLIENTS);
    all_say(crowd, "[\"3\",\"5\",\"notifications\",\"phx_leave\",{}]");
    stop_counting();
    tk_assert(member_count(crowd) == 0);

    start_counting("disconnect", CLIENTS);
    for (size_t i = 0; i < CLIENTS; i++)
        session_on_closed(crowd->clients[i].session);
    broker_end_turn(&crowd->broker.broker);
    stop_counting();
    fake_broker_fini(&crowd->broker);
}

/* One member speaks, all hear it. */
static void fan_out(struct crowd *crowd)
{
    crowd_init(crowd, CLIENTS);
    struct broker *b = &crowd->broker.broker;
    struct topic *t = topic_find(&b->topics, TK_SLICE("notifications"));
    const struct phx_payload payload = channel_object(TK_SLICE("{\"nickname\":\"Cruel_KFP\"}"));
    uint64_t before = b->stats.deliveries;
    start_counting("fan-out-single", (size_t)BURST * CLIENTS);
    for (int i = 0; i < BURST; i++) {
        pubsub_broadcast(b, t, TK_SLICE("collected"), &payload, NULL);
        broker_end_turn(b);
    }
    stop_counting();

    start_counting("fan-out-joined", (size_t)BURST * CLIENTS);
    for (int i = 0; i < BURST; i++)
        pubsub_broadcast(b, t, TK_SLICE("collected"), &payload, NULL);
    broker_end_turn(b);
    stop_counting();
    tk_assert(b->stats.deliveries - before == (uint64_t)2 * BURST * CLIENTS);
    fake_broker_fini(&crowd->broker);
}

/* What a message costs beside its deliveries: decoding, the channel, encoding, one delivery. */
static void relay(struct crowd *crowd)
{
    crowd_init(crowd, 1);
    start_counting("relay", REPEATS);
    for (int i = 0; i < REPEATS; i++) {
        crowd->broker.broker.now_ms += 1000; /* its budget of messages is not what counts here */
        say(crowd, 0, collected);
    }
    stop_counting();
    tk_assert(crowd->broker.broker.stats.deliveries == REPEATS);
    fake_broker_fini(&crowd->broker);
}

/*
 * Presence
 */

/* Everybody comes within one window, and members are told. */
static void tell_presences(void)
{
    struct presence_record records[PRESENCES];
    char refs[PRESENCES][PRESENCE_REF_LEN + 1];
    struct presence_origin origin = {.is_visible = true};
    struct presence_set set;
    struct tk_buf json = {0};
    for (unsigned i = 0; i < PRESENCES; i++) {
        snprintf(refs[i], sizeof(refs[i]), "%016u", i);
        records[i] = (struct presence_record){
            .ref = tk_slice_str(refs[i]),
            .key = tk_slice_str(refs[i]),
            .meta = TK_SLICE("{\"phx_ref\":\"F0123456789abcde\",\"nickname\":\"Cruel_KFP\"}"),
        };
    }
    presence_set_init(&set);
    start_counting("presence-diff", PRESENCES);
    for (unsigned i = 0; i < PRESENCES; i++)
        presence_set_add(&set, &origin, &records[i]);
    bool has_changed = presence_set_flush(&set, &json);
    stop_counting();
    tk_assert(has_changed && set.shown_keys == PRESENCES);

    start_counting("presence-state", PRESENCES);
    presence_set_write_state(&set, &json);
    stop_counting();
    presence_set_fini(&set);
    tk_buf_fini(&json);
}

int main(void)
{
    struct crowd *crowd = tk_xcalloc(1, sizeof(*crowd));
    puts(__VERSION__);
    decode_messages();
    parse_frame();
    check_upgrade();
    come_and_go(crowd);
    fan_out(crowd);
    relay(crowd);
    tell_presences();
    free(crowd);
    return EXIT_SUCCESS;
}
