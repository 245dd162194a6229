/* SPDX-License-Identifier: MIT */
/* The broker's settings, one row each; see common/tk_settings.h for what is made of them. */
#include "broker/settings.h"

#define ROW_INT(env, member, def, low, high, text)                                                 \
    {                                                                                              \
        env, TK_SETTING_INT, 0, offsetof(struct broker_settings, member), def, low, high, text     \
    }

static const struct tk_setting rows[] = {
    TK_SETTING_ROW_DATABASE_URL(struct broker_settings),
    TK_SETTING_ROW_REDIS_URL(struct broker_settings),
    TK_SETTING_ROW_LOG_LEVEL(struct broker_settings),
    TK_SETTING_ROW_DEV(struct broker_settings),
    {"TAKO_HOST", TK_SETTING_STRING, 0, offsetof(struct broker_settings, host), "0.0.0.0", 0, 0,
     "Address to listen on; :: for IPv6 and IPv4. 127.0.0.1 when a web server on the same machine "
     "is in front."},
    ROW_INT("PORT", port, "4000", 1, 65535, "TCP port of the websocket broker."),
    ROW_INT("TAKO_WORKERS", workers, "0", 0, 512,
            "Worker processes that share the port; 0: one per core. Each holds at most "
            "TAKO_MAX_CONNECTIONS clients."),
    {"TAKO_NODE", TK_SETTING_STRING, 0, offsetof(struct broker_settings, node_name), NULL, 0, 0,
     "This broker's name in the cluster and in `takoctl nodes`; default: host name and port."},
    {"TAKO_SHARE_PORT", TK_SETTING_BOOL, 0, offsetof(struct broker_settings, share_port), "0", 0, 0,
     "1 starts although another broker still listens on the port, to take over from it without a "
     "refused connection: start the new one, then stop the old one."},
    {"TAKO_TRANSPORT", TK_SETTING_STRING, 0, offsetof(struct broker_settings, transport), "epoll",
     0, 0,
     "What carries the bytes of clients: epoll, tako's own, or lws, libwebsockets, which needs 1 "
     "KB "
     "more per client."},
    ROW_INT("TAKO_MAX_CONNECTIONS", max_connections, "20000", 1, 1000000,
            "Clients per worker. Lowered to what the limit of open files allows."),
    ROW_INT(
        "TAKO_MAX_CONNECTIONS_PER_ADDRESS", max_connections_per_address, "0", 0, 1000000,
        "Connections of one IPv4 address or IPv6 /64 network per worker; more are answered 429. "
        "0: no limit. Behind a web server every client has the server's address: limit there "
        "instead."),
    ROW_INT(
        "TAKO_ACCEPTS_PER_S", accepts_per_s, "5000", 0, 1000000,
        "New connections per second and worker; more wait in the kernel's queue, so that a crowd "
        "that comes back at once does not hold up those who are there. 0: no limit."),
    {"TAKO_SOCKET_ORIGINS", TK_SETTING_LIST, 0, offsetof(struct broker_settings, origins), NULL, 0,
     0,
     "Origins that may open a socket, comma separated, as https://app.example or "
     "//*.netlify.app. Empty: any."},
    ROW_INT("TAKO_HANDSHAKE_TIMEOUT_MS", handshake_timeout_ms, "10000", 100, 600000,
            "Time from accept to a complete upgrade request."),
    ROW_INT("TAKO_USER_LOOKUP_TIMEOUT_MS", user_lookup_timeout_ms, "2500", 100, 60000,
            "Time for looking a connecting user up in PostgreSQL; past it the answer is 503."),
    ROW_INT("TAKO_USER_CACHE", user_cache_size, "10000", 0, 10000000,
            "Users remembered per worker, known and unknown ones each."),
    ROW_INT("TAKO_USER_CACHE_MS", user_cache_ms, "60000", 0, 86400000,
            "How long a known user is remembered (a deletion is noticed at once)."),
    ROW_INT("TAKO_UNKNOWN_USER_CACHE_MS", unknown_user_cache_ms, "3000", 0, 3600000,
            "How long an unknown user is refused from memory."),
    ROW_INT("TAKO_IDLE_TIMEOUT_MS", idle_timeout_ms, "60000", 1000, 86400000,
            "A client that sends nothing for this long is closed with 1001; after three quarters "
            "of it, it is pinged."),
    ROW_INT("TAKO_MAX_MESSAGE_BYTES", max_message_bytes, "10000000", 1024, 1000000000,
            "Largest message of a client; a larger one closes with 1009."),
    ROW_INT("TAKO_MAX_QUEUED_BYTES", max_queued_bytes, "1048576", 4096, 1000000000,
            "Unsent bytes kept for one client; one that reads too slowly is closed with 1001."),
    ROW_INT(
        "TAKO_SEND_BUFFER_BYTES", send_buffer_bytes, "65536", 4096, 16777216,
        "Send buffer in the kernel per client; bounds its memory for clients that do not read."),
    ROW_INT("TAKO_MAX_CHANNELS", max_channels, "100", 1, 10000, "Channels per connection."),
    ROW_INT("TAKO_MAX_TOPIC_BYTES", max_topic_bytes, "255", 16, 255,
            "Longest topic a client may join."),
    ROW_INT(
        "TAKO_MESSAGES_PER_S", messages_per_s, "100", 0, 1000000,
        "Messages and pings per second of one client, on average over ten seconds; more close it "
        "with 1008. 0: no limit."),
    ROW_INT("TAKO_JOINS_PER_S", joins_per_s, "10", 0, 1000000,
            "Joins per second of one client, on average over ten seconds, beyond TAKO_MAX_CHANNELS "
            "joins at once; more are refused with \"too many joins\". 0: no limit."),
    ROW_INT(
        "TAKO_JOIN_TIMEOUT_MS", join_timeout_ms, "5000", 100, 60000,
        "Time for a join that waits for Redis; past it the join is refused. Clients wait 10 s."),
    ROW_INT("TAKO_DRAIN_MS", drain_ms, "10000", 0, 3600000,
            "On SIGTERM clients are closed with 1012 in random order over this time."),
    ROW_INT("TAKO_NODE_LEASE_MS", node_lease_ms, "10000", 1000, 600000,
            "A worker that does not renew its entry in Redis for this long counts as gone."),
    ROW_INT("TAKO_PRESENCE_WINDOW_MS", presence_window_ms, "100", 0, 5000,
            "Who comes and goes in a room within this time is told to its members in one message. "
            "0: each at once."),
    ROW_INT("TAKO_PRESENCE_LINGER_MS", presence_linger_ms, "4000", 0, 60000,
            "How long users stay present whom a stopping broker has sent away, so that those who "
            "come back to another one never seem to have left. 0: they leave at once."),
    ROW_INT("TAKO_PRESENCE_META_BYTES", presence_meta_bytes, "4096", 64, 32768,
            "Largest JSON object that a client may add to its presence."),
    ROW_INT("TAKO_PRESENCES_PER_USER", presences_per_user, "100", 1, 100000,
            "Channels with which one user may be present in one room."),
    ROW_INT("TAKO_PRESENCES_PER_TOPIC", presences_per_topic, "100000", 1, 10000000,
            "Channels that may be present in one room."),
    {"TAKO_PRESENCE_COUNTS_ONLY", TK_SETTING_LIST, 0,
     offsetof(struct broker_settings, presence_counts_only), NULL, 0, 0,
     "Rooms, comma separated, whose members are told how many are present but not who; a name "
     "that ends in * stands for all that begin so, as in room:stage-*."},
};

const struct tk_settings_table broker_settings_table = {
    .program = "tako-broker",
    .rows = rows,
    .count = TK_ARRAY_LEN(rows),
};
