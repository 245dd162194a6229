/* SPDX-License-Identifier: MIT */
/*
 * Any bytes as a message on the Redis link (common/envelope.h). The first byte chooses the channel.
 * A V1 and a V2 client are members of the topic: whatever was said on the link, what they are sent
 * must be whole, well-formed frames (C174).
 */
#include <stdio.h>
#include <stdlib.h>

#include "broker/broker.h"
#include "broker/channels/channels.h"
#include "common/envelope.h"
#include "common/tk_json.h"
#include "common/tk_log.h"

#define USER_ID "00000000-0000-4000-8000-000000000001"

enum { TO_USERS = 1, TO_ROOM = 2 };

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

/* Some messages close connections: their clients come back. */
static void keep_members(void)
{
    struct tk_uuid id;
    enum tk_err err = tk_uuid_parse(TK_SLICE(USER_ID), &id);
    tk_assert(err == TK_OK);
    for (size_t i = 0; i < TK_ARRAY_LEN(members); i++) {
        struct member *m = &members[i];
        if (m->session && m->session->state == SESSION_OPEN)
            continue;
        if (m->session)
            member_kill((struct transport *)m);
        m->session =
            session_open(&broker, m->vsn, &id, "somebody", &member_ops, (struct transport *)m);
        join(m, "notifications");
        join(m, "room:1");
    }
    broker_end_turn(&broker);
}

static const char *no_environment(const char *name)
{
    return strcmp(name, "TAKO_DEV") == 0 ? "1" : NULL;
}

static void open_broker(void)
{
    enum tk_err err = tk_settings_load(&broker_settings_table, no_environment, &settings, stderr);
    tk_assert(err == TK_OK);
    tk_log_init(TK_LOG_ERROR, "fuzz");
    int failed = uv_loop_init(&loop);
    tk_assert(!failed);
    broker_init(&broker, &loop, &settings, user_socket_channels);
}

static struct tk_slice channel_of(uint8_t choice)
{
    if (choice & TO_USERS)
        return TK_SLICE(TK_CHANNEL_USERS);
    return choice & TO_ROOM ? TK_SLICE(TK_CHANNEL_TOPIC_PREFIX "room:1")
                            : TK_SLICE(TK_CHANNEL_TOPIC_PREFIX "notifications");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    if (!broker.loop)
        open_broker();
    keep_members();
    uint64_t malformed = broker.stats.link_malformed, deliveries = broker.stats.deliveries;
    pubsub_on_message(&broker, channel_of(data[0]), tk_slice((const char *)data + 1, size - 1));
    broker_end_turn(&broker);
    tk_assert(broker.stats.link_malformed == malformed || broker.stats.deliveries == deliveries);
    return 0;
}
