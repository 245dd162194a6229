/* SPDX-License-Identifier: MIT */
/*
 * What one presence says of its channel: the meta object that clients see (C99-C105), and the refs
 * that tell metas apart. Clients may add members of their own, but no ref and nothing that could be
 * taken for what the server says.
 */
#pragma once

#include "common/tk_base.h"
#include "common/tk_buf.h"

#define PRESENCE_REF_LEN 16
#define PRESENCE_KEY_MAX 64 /* bytes; a public id has 22 */

/* Never the same twice: six random bytes per process and a counter (C100). */
struct presence_refs {
    uint8_t process[6];
    uint64_t counter;
};

void presence_refs_init(struct presence_refs *refs);

/* The next one: 16 characters of URL-safe base64, terminated. Returns out. */
char *presence_refs_next(struct presence_refs *refs, char out[PRESENCE_REF_LEN + 1]);

bool presence_ref_is_valid(struct tk_slice ref);

/*
 * 1 to PRESENCE_KEY_MAX characters of URL-safe base64, but no member of JavaScript's
 * Object.prototype (C103).
 */
bool presence_key_is_valid(struct tk_slice key);

/*
 * Appends the members of the object that a client sent, without braces, as they go into a meta:
 * refs and what the server writes itself are left out (C102), values stay as they are (C29).
 * TK_EINVAL: no object, or a member is named after one of Object.prototype; TK_ELIMIT: more than
 * max bytes. Nothing is appended then.
 */
enum tk_err presence_meta_take(struct tk_slice object, size_t max,
                               struct tk_buf *out) TK_MUST_CHECK;

/* What a meta is made of. client: from presence_meta_take. */
struct presence_meta {
    struct tk_slice ref;
    struct tk_slice ref_prev; /* empty: none (C101) */
    struct tk_slice nickname; /* ptr NULL: null */
    uint64_t online_at;       /* seconds since 1970 */
    struct tk_slice client;
};

/* Appends the object. Its last bytes are the client's members and a brace. */
void presence_meta_write(struct tk_buf *out, const struct presence_meta *meta);
