/* SPDX-License-Identifier: MIT */
/*
 * The users of this worker's sessions. A user is in the map exactly while he has a session.
 */
#include "broker/users/online_users.h"

#include <stdlib.h>

#include "broker/broker.h"
#include "broker/channel_presence.h"

static struct tk_slice user_key(const void *value)
{
    const struct online_user *user = value;
    return tk_slice((const char *)user->id.bytes, sizeof(user->id.bytes));
}

void online_users_init(struct online_users *users)
{
    tk_map_init(&users->map, user_key);
}

void online_users_fini(struct online_users *users)
{
    tk_assert(users->map.count == 0);
    tk_map_fini(&users->map);
}

struct online_user *online_users_find(const struct online_users *users, const struct tk_uuid *id)
{
    return tk_map_find(&users->map, tk_slice((const char *)id->bytes, sizeof(id->bytes)));
}

static void set_nickname(struct online_user *user, struct tk_slice nickname)
{
    free(user->nickname);
    user->nickname = nickname.ptr ? tk_xstrndup(nickname.ptr, nickname.len) : NULL;
}

static struct tk_slice slice_or_null(const char *text)
{
    return text ? tk_slice_str(text) : tk_slice(NULL, 0);
}

static bool is_renamed(const struct online_user *user, struct tk_slice nickname)
{
    struct tk_slice known = slice_or_null(user->nickname);
    return !known.ptr != !nickname.ptr || !tk_slice_eq(known, nickname);
}

/* His rooms are told only of a name that is new: most updates are of stamps. */
static void rename_user(struct online_user *user, struct tk_slice nickname)
{
    if (!is_renamed(user, nickname))
        return;
    set_nickname(user, nickname);
    for (struct session *s = user->sessions; s; s = s->user_next)
        session_refresh_presence(s);
}

void online_users_add(struct online_users *users, struct session *s, const struct tk_uuid *id,
                      const char *nickname)
{
    struct online_user *user = online_users_find(users, id);
    if (!user) {
        user = tk_xcalloc(1, sizeof(*user));
        user->id = *id;
        set_nickname(user, slice_or_null(nickname));
        tk_map_put(&users->map, user);
    } else {
        rename_user(user, slice_or_null(nickname)); /* the event was lost with the link to Redis */
    }
    s->user = user;
    s->user_prev = NULL;
    s->user_next = user->sessions;
    if (s->user_next)
        s->user_next->user_prev = s;
    user->sessions = s;
}

void online_users_remove(struct online_users *users, struct session *s)
{
    struct online_user *user = s->user;
    if (s->user_prev)
        s->user_prev->user_next = s->user_next;
    else
        user->sessions = s->user_next;
    if (s->user_next)
        s->user_next->user_prev = s->user_prev;
    s->user = NULL;
    if (user->sessions)
        return;
    tk_map_remove(&users->map, user_key(user));
    free(user->nickname);
    free(user);
}

const char *online_user_public_id(struct online_user *user)
{
    if (user->public_id[0] == '\0')
        tk_public_id(&user->id, user->public_id);
    return user->public_id;
}

void online_users_on_event(struct broker *b, const struct tk_user_event *event)
{
    struct online_user *user = online_users_find(&b->users, &event->id);
    if (!user)
        return;
    if (event->kind == TK_USER_CREATED || event->kind == TK_USER_UPDATED) {
        rename_user(user, event->nickname);
        return;
    }
    for (struct session *s = user->sessions; s; s = s->user_next)
        session_close_later(s, CLOSE_GOING_AWAY);
}
