/* SPDX-License-Identifier: MIT */
/* The rules about a user's attributes as clients send them (H44-H54). */
#pragma once

#include "common/accounts/nickname.h"
#include "common/accounts/users.h"
#include "fcgi-api/jsonapi.h"

struct user_rules {
    struct nickname_rules nickname;
    int64_t stamps_max;
};

/* The names of all attributes, NULL terminated. */
extern const char *const user_attribute_names[];

/* An optional sign and digits (H52). TK_ESYNTAX: something else; TK_ELIMIT: it does not fit. */
enum tk_err user_stamps_parse(struct tk_slice text, int64_t *stamps) TK_MUST_CHECK;

/*
 * Checks the attributes that are present, and only those (H53); attributes may be NULL. True: they
 * are in changes, whose nickname points into nickname_text. False: every violation is in errors.
 */
bool user_attributes_read(json_object *attributes, const struct user_rules *rules,
                          struct user_changes *changes, struct tk_buf *nickname_text,
                          struct jsonapi_errors *errors);
