/* SPDX-License-Identifier: MIT */
/*
 * The users who are connected to this worker, and their sessions: how `msg` finds its user without
 * walking a topic (C94) and how `disconnect` finds all his connections (C80).
 */
#pragma once

#include "common/envelope.h"
#include "common/tk_map.h"
#include "common/tk_uuid.h"

struct broker;
struct session;

struct online_user {
    struct tk_uuid id;                    /* a credential: never shown to other clients */
    char public_id[TK_PUBLIC_ID_LEN + 1]; /* empty until it is asked for: online_user_public_id */
    char *nickname;                       /* NULL for null */
    struct session *sessions;             /* linked by user_next */
};

struct online_users {
    struct tk_map map;
};

void online_users_init(struct online_users *users);
void online_users_fini(struct online_users *users);

/* Adds the session to its user, who is created with the first and freed with the last. */
void online_users_add(struct online_users *users, struct session *s, const struct tk_uuid *id,
                      const char *nickname);
void online_users_remove(struct online_users *users, struct session *s);

struct online_user *online_users_find(const struct online_users *users, const struct tk_uuid *id);

/* The name under which other clients know him. */
const char *online_user_public_id(struct online_user *user);

/* A new nickname is taken over, in rooms, too; deleted and disconnect close the user's sessions
 * with 1001. */
void online_users_on_event(struct broker *b, const struct tk_user_event *event);
