/* SPDX-License-Identifier: MIT */
#pragma once

#include "common/tk_settings.h"

/* Who may do what, by bearer token (H15-H18, H76). */
struct auth;

enum auth_level {
    AUTH_NO_CREDENTIALS, /* nothing sent */
    AUTH_REFUSED,        /* something sent, and it is wrong */
    AUTH_CLIENT,         /* one of the shared tokens */
    AUTH_ADMIN,          /* the admin token; may do whatever a client may */
};

/*
 * Keeps digests only. admin_token may be NULL. Without any token every request counts as
 * AUTH_CLIENT: the settings allow that in development only, and say so in the log.
 */
struct auth *auth_new(const struct tk_string_list *tokens, const char *admin_token);
void auth_free(struct auth *auth);

/* header is the value of Authorization, or NULL. The time it takes does not depend on the tokens.
 */
enum auth_level auth_check(const struct auth *auth, const char *header);
