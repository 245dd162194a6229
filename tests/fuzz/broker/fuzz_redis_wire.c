/* SPDX-License-Identifier: MIT */
/*
 * Any bytes as what Redis says, over a real socket, in two parts; the first byte says where they
 * are cut. Replies must be within the limits, and the connection must end exactly once.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "broker/redis/redis_wire.h"

#define MAX_REPLY_BYTES 10000
#define MAX_TURNS       1000
#define MAX_DEPTH       16

static char dir[] = "/tmp/tako-fuzz-XXXXXX";
static char path[sizeof(dir) + 16];
static struct tk_redis_address address = {.unix_path = path};
static uv_loop_t loop;
static int listener = -1;
static bool is_lost;

static void remove_socket(void)
{
    unlink(path);
    rmdir(dir);
}

static void listen_in_dir(void)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    tk_assert(mkdtemp(dir) != NULL);
    snprintf(path, sizeof(path), "%s/redis.sock", dir);
    snprintf(name.sun_path, sizeof(name.sun_path), "%s", path);
    listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    tk_assert(listener >= 0);
    int failed =
        bind(listener, (const struct sockaddr *)&name, sizeof(name)) || listen(listener, 8);
    tk_assert(!failed);
    atexit(remove_socket);
    failed = uv_loop_init(&loop);
    tk_assert(!failed);
}

static void check_reply(const redisReply *reply, int depth)
{
    tk_assert(reply != NULL && depth <= MAX_DEPTH);
    if (reply->type == REDIS_REPLY_STRING || reply->type == REDIS_REPLY_STATUS ||
        reply->type == REDIS_REPLY_ERROR)
        tk_assert(reply->str != NULL && reply->str[reply->len] == '\0');
    if (reply->type == REDIS_REPLY_ARRAY)
        for (size_t i = 0; i < reply->elements; i++)
            check_reply(reply->element[i], depth + 1);
}

static void on_open(void *arg, struct redis_wire *w)
{
    (void)arg;
    (void)w;
}

static void on_reply(void *arg, struct redis_wire *w, const struct redisReply *reply)
{
    (void)arg;
    (void)w;
    check_reply(reply, 0);
}

static void on_lost(void *arg, struct redis_wire *w, const char *why)
{
    (void)arg;
    tk_assert(!is_lost && why != NULL);
    is_lost = true;
    redis_wire_close(w);
}

/* Larger inputs than the socket takes at once lose their end, which is as good as any other. */
static void say(int peer, const uint8_t *data, size_t size)
{
    if (size > 0)
        (void)!send(peer, data, size, MSG_NOSIGNAL | MSG_DONTWAIT);
    for (int i = 0; i < 4 && !is_lost; i++)
        uv_run(&loop, UV_RUN_NOWAIT);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct redis_wire_events events = {on_open, on_reply, on_lost};
    char why[128];
    if (size == 0)
        return 0;
    if (listener < 0)
        listen_in_dir();
    is_lost = false;
    struct redis_wire *w =
        redis_wire_open(&loop, &address, MAX_REPLY_BYTES, &events, NULL, why, sizeof(why));
    tk_assert(w != NULL);
    int peer = accept(listener, NULL, NULL);
    tk_assert(peer >= 0);
    size_t cut = (size - 1) * data[0] / 256;
    say(peer, data + 1, cut);
    say(peer, data + 1 + cut, size - 1 - cut);
    close(peer);
    for (int i = 0; i < MAX_TURNS && !is_lost; i++)
        uv_run(&loop, UV_RUN_ONCE);
    tk_assert(is_lost);
    uv_run(&loop, UV_RUN_DEFAULT); /* lets go of the poll handle */
    return 0;
}
