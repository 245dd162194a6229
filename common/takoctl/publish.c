/* SPDX-License-Identifier: MIT */
/* One connection to Redis per command, and what is published through it. */
#include "common/takoctl/publish.h"

#include "common/tk_redis.h"

/* Without the login. */
static void write_place(const struct tk_redis_address *address, struct tk_buf *out)
{
    if (address->unix_path != NULL)
        tk_buf_appendf(out, "%s", address->unix_path);
    else
        tk_buf_appendf(out, "%s port %d", address->host, address->port);
}

static void explain_failure(const struct ctl *ctl, const struct tk_redis_address *address,
                            enum tk_err err, const char *why)
{
    struct tk_buf place = {0};

    write_place(address, &place);
    ctl_fail(ctl, "%s (%s). %s", why, tk_buf_str(&place),
             err == TK_EDENIED ? "Set user, password and number in REDIS_URL."
                               : "Start Redis, or set REDIS_URL.");
    ctl_hint_at_stack("REDIS_URL");
    tk_buf_fini(&place);
}

redisContext *ctl_redis_open(const struct ctl *ctl)
{
    struct tk_redis_address address;
    redisContext *redis = NULL;
    const char *syntax;
    char why[256];

    if (tk_redis_url(ctl->settings->redis_url, &address, &syntax) != TK_OK) {
        ctl_fail(ctl, "REDIS_URL %s", syntax);
        return NULL;
    }
    enum tk_err err = tk_redis_connect(&address, CTL_REDIS_TIMEOUT_MS, &redis, why, sizeof(why));
    if (err)
        explain_failure(ctl, &address, err, why);
    tk_redis_address_fini(&address);
    return err ? NULL : redis;
}

const char *ctl_redis_reason(const redisContext *redis, const redisReply *reply,
                             struct ctl_redis_reason *out)
{
    if (reply != NULL && reply->type == REDIS_REPLY_ERROR)
        snprintf(out->text, sizeof(out->text), "Redis refuses: %s", reply->str);
    else if (reply != NULL)
        snprintf(out->text, sizeof(out->text), "Redis gives an answer that makes no sense");
    else
        snprintf(out->text, sizeof(out->text), "lost Redis: %s", redis->errstr);
    for (char *p = out->text; *p != '\0'; p++) {
        if (*p < ' ' || *p > '~')
            *p = '?';
    }
    return out->text;
}

static bool publish_through(const struct ctl *ctl, redisContext *redis, struct tk_slice channel,
                            struct tk_slice message, long long *heard)
{
    const char *words[] = {"PUBLISH", channel.ptr, message.ptr};
    const size_t lens[] = {strlen(words[0]), channel.len, message.len};
    redisReply *reply = redisCommandArgv(redis, TK_ARRAY_LEN(words), words, lens);
    bool is_done = reply != NULL && reply->type == REDIS_REPLY_INTEGER;
    struct ctl_redis_reason reason;

    if (is_done)
        *heard = reply->integer;
    else
        ctl_fail(ctl, "%s%s", ctl_redis_reason(redis, reply, &reason),
                 reply == NULL ? "; whether the message went out is not known" : "");
    freeReplyObject(reply);
    return is_done;
}

bool ctl_publish(const struct ctl *ctl, struct tk_slice channel, struct tk_slice message,
                 long long *heard)
{
    redisContext *redis = ctl_redis_open(ctl);

    if (redis == NULL)
        return false;
    bool is_done = publish_through(ctl, redis, channel, message, heard);
    redisFree(redis);
    return is_done;
}

bool ctl_publish_user_event(const struct ctl *ctl, enum tk_user_event_kind kind,
                            const struct tk_uuid *id, const struct user *user, long long *heard)
{
    struct tk_user_event event = {.kind = kind, .id = *id};
    struct tk_buf message = {0};

    if (user != NULL) {
        if (user->nickname != NULL)
            event.nickname = tk_slice_str(user->nickname);
        event.has_stamps = user->has_stamps;
        event.stamps_collected = user->stamps_collected;
    }
    tk_user_event_write(&message, &event);
    bool is_done = ctl_publish(ctl, TK_SLICE(TK_CHANNEL_USERS), tk_buf_slice(&message), heard);
    tk_buf_fini(&message);
    return is_done;
}
