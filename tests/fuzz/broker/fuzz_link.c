/* SPDX-License-Identifier: MIT */
/*
 * Any bytes as messages on the Redis link (common/envelope.h), 0xff between two of them. The first
 * byte of each chooses the channel. A V1 and a V2 client are members of the topics: whatever is
 * said on the link, what they are sent must be whole, well-formed frames (C174).
 */
#include <stdio.h>
#include <stdlib.h>

#include "broker/broker.h"
#include "broker/channels/channels.h"
#include "common/envelope.h"
#include "common/tk_json.h"
#include "common/tk_log.h"

#define USER_ID "00000000-0000-4000-8000-000000000001"

#define BETWEEN_MESSAGES 0xff

struct member {
    struct session *session;
    enum phx_vsn vsn;
    struct tk_buf message; /* of fragments */
};

static struct broker broker;
static struct broker_settings settings;
static uv_loop_t loop;
static struct member members[] = {{.vsn = PHX_V1}, {.vsn = PHX_V2}};

static void check_message(const struct member *m, bool is_binary, struct tk_slice message)
{
    static const struct tk_json_rules rules = {.max_depth = 256};
    struct tk_json_value value;
    if (is_binary) {
        tk_assert(m->vsn == PHX_V2 && message.len >= 3);
        tk_assert(message.ptr[0] == 0 || message.ptr[0] == 2); /* a push or a broadcast (C35) */
        return;
    }
    tk_assert(tk_json_scan(message, &rules, &value, NULL) == TK_OK);
    tk_assert(value.type == (m->vsn == PHX_V1 ? TK_JSON_OBJECT : TK_JSON_ARRAY));
}

/* One frame (RFC 6455, 5.2) from the front; a message's last one has the message checked. */
static size_t take_frame(struct member *m, const uint8_t *p, size_t len)
{
    tk_assert(len >= 2 && !(p[1] & 0x80));
    size_t header = p[1] < 126 ? 2 : p[1] == 126 ? 4 : 10;
    uint64_t size = p[1] < 126 ? p[1] : 0;
    tk_assert(len >= header);
    for (size_t i = 2; i < header; i++)
        size = size << 8 | p[i];
    tk_assert(size <= len - header);
    unsigned opcode = p[0] & 0x0f;
    if (opcode == WS_CLOSE)
        return header + (size_t)size;
    tk_buf_append(&m->message, p + header, (size_t)size);
    if (p[0] & 0x80) {
        check_message(m, opcode == WS_BINARY, tk_buf_slice(&m->message));
        tk_buf_clear(&m->message);
    }
    return header + (size_t)size;
}

static bool member_write(struct transport *t, struct tk_slice frames)
{
    size_t at = 0;
    while (at < frames.len)
        at += take_frame((struct member *)t, (const uint8_t *)frames.ptr + at, frames.len - at);
    return true;
}

static bool member_is_blocked(struct transport *t)
{
    (void)t;
    return false;
}

static void member_write_close(struct transport *t, struct tk_slice frame)
{
    (void)member_write(t, frame);
}

static void member_kill(struct transport *t)
{
    struct member *m = (struct member *)t;
    struct session *s = m->session;
    m->session = NULL;
    session_on_closed(s);
}

static const struct transport_ops member_ops = {
    .write = member_write,
    .is_blocked = member_is_blocked,
    .write_close = member_write_close,
    .kill = member_kill,
};

static void join(struct member *m, const char *topic)
{
    char text[128];
    snprintf(text, sizeof(text),
             m->vsn == PHX_V1
                 ? "{\"topic\":\"%s\",\"event\":\"phx_join\",\"payload\":{},\"ref\":\"1\"}"
                 : "[\"1\",\"1\",\"%s\",\"phx_join\",{}]",
             topic);
    session_on_data(
        m->session,
        &(struct session_data){.bytes = tk_slice_str(text), .is_first = true, .is_final = true});
}

static void open_member(struct member *m)
{
    struct tk_uuid id;
    enum tk_err err = tk_uuid_parse(TK_SLICE(USER_ID), &id);
    tk_assert(err == TK_OK);
    m->session = session_open(&broker, m->vsn, &id, "somebody", &member_ops, (struct transport *)m);
    join(m, "notifications");
    join(m, "room:1");
}

static const char *no_environment(const char *name)
{
    return strcmp(name, "TAKO_DEV") == 0 ? "1" : NULL;
}

static void set_up_once(void)
{
    enum tk_err err = tk_settings_load(&broker_settings_table, no_environment, &settings, stderr);
    tk_assert(err == TK_OK);
    tk_log_init(TK_LOG_ERROR, "fuzz");
    int failed = uv_loop_init(&loop);
    tk_assert(!failed);
}

static void open_broker(void)
{
    broker_init(&broker, &loop, &settings, user_socket_channels);
    snprintf(broker.node.id, sizeof(broker.node.id), "me/0@1");
    for (size_t i = 0; i < TK_ARRAY_LEN(members); i++)
        open_member(&members[i]);
    broker_end_turn(&broker);
}

static void close_broker(void)
{
    for (size_t i = 0; i < TK_ARRAY_LEN(members); i++) {
        if (members[i].session)
            member_kill((struct transport *)&members[i]);
        tk_assert(members[i].message.len == 0);
    }
    broker_fini(&broker);
}

static struct tk_slice channel_of(uint8_t choice)
{
    static const struct tk_slice channels[] = {
        TK_SLICE_INIT(TK_CHANNEL_TOPIC_PREFIX "notifications"),
        TK_SLICE_INIT(TK_CHANNEL_USERS),
        TK_SLICE_INIT(TK_CHANNEL_TOPIC_PREFIX "room:1"),
        TK_SLICE_INIT(TK_CHANNEL_PRESENCE_PREFIX "room:1"),
        TK_SLICE_INIT(TK_CHANNEL_NODES),
    };
    return channels[choice % TK_ARRAY_LEN(channels)];
}

/* What it leads to is sent before the next one comes; presence waits for its window. */
static void say(struct tk_slice message)
{
    uint64_t malformed = broker.stats.link_malformed, deliveries = broker.stats.deliveries;
    if (message.len == 0)
        return;
    pubsub_on_message(&broker, channel_of((uint8_t)message.ptr[0]),
                      tk_slice(message.ptr + 1, message.len - 1));
    broker_end_turn(&broker);
    tk_assert(broker.stats.link_malformed == malformed || broker.stats.deliveries == deliveries);
    broker.now_ms += (uint64_t)settings.presence_window_ms + 1;
    presence_store_tick(&broker, broker.now_ms);
    broker_end_turn(&broker);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *at = (const char *)data, *end = at + size;
    if (!settings.host)
        set_up_once();
    open_broker();
    while (at < end) {
        const char *mark = memchr(at, BETWEEN_MESSAGES, (size_t)(end - at));
        const char *stop = mark ? mark : end;
        say(tk_slice(at, (size_t)(stop - at)));
        at = stop + 1;
    }
    close_broker();
    return 0;
}
