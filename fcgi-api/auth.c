/* SPDX-License-Identifier: MIT */
/*
 * A presented token is hashed and its digest compared with those of all accepted tokens, each in
 * constant time and without stopping at a match: the time tells neither a prefix nor a position.
 */
#include "fcgi-api/auth.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include <strings.h>

#define SCHEME "Bearer "

struct digest {
    uint8_t bytes[SHA256_DIGEST_LENGTH];
};

struct auth {
    struct digest admin;
    bool has_admin;
    size_t count;
    struct digest clients[];
};

static struct digest digest_of(const char *token)
{
    struct digest digest;

    SHA256((const unsigned char *)token, strlen(token), digest.bytes);
    return digest;
}

struct auth *auth_new(const struct tk_string_list *tokens, const char *admin_token)
{
    struct auth *auth = tk_xcalloc(1, sizeof(*auth) + tokens->count * sizeof(auth->clients[0]));

    auth->has_admin = admin_token != NULL && admin_token[0] != '\0';
    if (auth->has_admin)
        auth->admin = digest_of(admin_token);
    auth->count = tokens->count;
    for (size_t i = 0; i < tokens->count; i++)
        auth->clients[i] = digest_of(tokens->items[i]);
    return auth;
}

void auth_free(struct auth *auth)
{
    free(auth);
}

static unsigned is_same(const struct digest *a, const struct digest *b)
{
    return CRYPTO_memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

enum auth_level auth_check(const struct auth *auth, const char *header)
{
    const char *token = header != NULL ? header : "";
    bool is_bearer = strncasecmp(token, SCHEME, strlen(SCHEME)) == 0;

    if (is_bearer)
        token += strlen(SCHEME);
    struct digest presented = digest_of(token);
    unsigned admin = is_same(&presented, &auth->admin);
    unsigned client = 0;
    for (size_t i = 0; i < auth->count; i++)
        client |= is_same(&presented, &auth->clients[i]);

    if (is_bearer && admin && auth->has_admin)
        return AUTH_ADMIN;
    if ((is_bearer && client) || auth->count == 0)
        return AUTH_CLIENT;
    return header == NULL ? AUTH_NO_CREDENTIALS : AUTH_REFUSED;
}
