/* SPDX-License-Identifier: MIT */
/* A blocking connection to Redis, logged in, or a sentence that says why there is none. */
#include "common/tk_redis.h"

#include <ctype.h>
#include <stdio.h>

static struct timeval to_timeval(int ms)
{
    return (struct timeval){.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000L};
}

static redisContext *open_socket(const struct tk_redis_address *address, int timeout_ms)
{
    struct timeval timeout = to_timeval(timeout_ms);
    redisContext *context = address->unix_path != NULL
                                ? redisConnectUnixWithTimeout(address->unix_path, timeout)
                                : redisConnectWithTimeout(address->host, address->port, timeout);

    tk_assert(context != NULL); /* only when memory is gone */
    return context;
}

/* what, then the reason, which comes from a library or the server: printable ASCII only. */
static void explain(char *why, size_t size, const char *what, const char *reason)
{
    snprintf(why, size, "%s: %s", what, reason);
    for (char *p = why; size > 0 && *p != '\0'; p++) {
        if (!isprint((unsigned char)*p))
            *p = '?';
    }
}

/* Reads the replies of tk_redis_append_login. */
static enum tk_err finish_login(redisContext *context, int replies, char *why, size_t size)
{
    enum tk_err err = TK_OK;

    for (int i = 0; i < replies && !err; i++) {
        void *answer = NULL;
        if (redisGetReply(context, &answer) != REDIS_OK) {
            explain(why, size, "lost the connection to Redis", context->errstr);
            return TK_EUNAVAIL;
        }
        const redisReply *reply = answer;
        if (reply->type == REDIS_REPLY_ERROR) {
            explain(why, size, "Redis refuses the login or the database number", reply->str);
            err = TK_EDENIED;
        }
        freeReplyObject(answer);
    }
    return err;
}

enum tk_err tk_redis_connect(const struct tk_redis_address *address, int timeout_ms,
                             redisContext **context, char *why, size_t size)
{
    redisContext *c = open_socket(address, timeout_ms);
    enum tk_err err = TK_EUNAVAIL;

    if (c->err != 0) {
        explain(why, size, "cannot connect to Redis", c->errstr);
        goto fail;
    }
    if (redisSetTimeout(c, to_timeval(timeout_ms)) != REDIS_OK) {
        explain(why, size, "cannot set a time limit for Redis", c->errstr);
        goto fail;
    }
    err = finish_login(c, tk_redis_append_login(c, address), why, size);
    if (err)
        goto fail;
    *context = c;
    return TK_OK;

fail:
    redisFree(c);
    return err;
}

static void append(redisContext *context, int argc, const char **argv)
{
    int result = redisAppendCommandArgv(context, argc, argv, NULL);

    tk_assert(result == REDIS_OK); /* fails only when memory is gone */
}

int tk_redis_append_login(redisContext *context, const struct tk_redis_address *address)
{
    int replies = 0;

    if (address->user != NULL || address->password != NULL) {
        /* A user without a password is an ACL user with "nopass". */
        const char *password = address->password != NULL ? address->password : "";
        const char *with_user[] = {"AUTH", address->user, password};
        const char *alone[] = {"AUTH", password};

        if (address->user != NULL)
            append(context, 3, with_user);
        else
            append(context, 2, alone);
        replies++;
    }
    if (address->db > 0) {
        char number[16];
        snprintf(number, sizeof(number), "%d", address->db);
        append(context, 2, (const char *[]){"SELECT", number});
        replies++;
    }
    return replies;
}
