/* SPDX-License-Identifier: MIT */
#pragma once

#include "common/tk_settings.h"

/* The broker's settings; settings.c has the table. Read once at start, then constant. */
struct broker_settings {
    char *database_url;
    char *redis_url;
    char *log_level;
    bool dev;

    char *host;
    int64_t port;
    int64_t workers; /* 0: one per core */
    char *node_name; /* NULL: host name and port */
    bool share_port;
    char *transport; /* ws_transport_exists */

    int64_t max_connections;             /* per worker */
    int64_t max_connections_per_address; /* per worker; 0: no limit */
    int64_t accepts_per_s;               /* per worker; 0: no limit */
    struct tk_string_list origins;       /* C11; empty: any */
    int64_t handshake_timeout_ms;
    int64_t user_lookup_timeout_ms;
    int64_t user_cache_size;
    int64_t user_cache_ms;
    int64_t unknown_user_cache_ms;

    int64_t idle_timeout_ms;
    int64_t max_message_bytes;
    int64_t max_queued_bytes; /* per connection */
    int64_t send_buffer_bytes;
    int64_t max_channels; /* per connection */
    int64_t max_topic_bytes;
    int64_t messages_per_s; /* per connection; 0: no limit, as below */
    int64_t joins_per_s;    /* per connection */
    int64_t join_timeout_ms;
    int64_t drain_ms;
    int64_t node_lease_ms;

    int64_t presence_window_ms; /* 0: every change at once (C116) */
    int64_t presence_linger_ms; /* 0: who is sent away by a drain leaves at once (C129) */
    int64_t presence_meta_bytes;
    int64_t presences_per_user; /* and topic */
    int64_t presences_per_topic;
    struct tk_string_list presence_counts_only; /* topics, or prefixes that end in * (C180) */
};

extern const struct tk_settings_table broker_settings_table;
