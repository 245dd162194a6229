/* SPDX-License-Identifier: MIT */
#include "fcgi-api/resources/idempotency.h"

#include <openssl/sha.h>

#define MAX_LEN 255
#define HEADER  "Idempotency-Key"

_Static_assert(sizeof(((struct users_once *)NULL)->key) == SHA256_DIGEST_LENGTH,
               "a digest is what is stored");

static void refuse(struct exchange *x, enum jsonapi_error kind, const char *detail)
{
    jsonapi_errors_add(&x->errors, kind, detail, JSONAPI_SOURCE_HEADER, tk_slice_str(HEADER));
}

static bool is_printable(const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text < ' ' || *text > '~')
            return false;
    }
    return true;
}

/* The same request is one for the same address with the same body, byte for byte. */
bool idempotency_read(struct exchange *x, struct users_once *once)
{
    const char *key = x->request->headers[HEADER_IDEMPOTENCY_KEY];
    struct tk_buf request = {0};

    if (strlen(key) > MAX_LEN || !is_printable(key)) {
        refuse(x, JSONAPI_INVALID_HEADER, HEADER " must be 1 to 255 printable characters.");
        return false;
    }
    tk_buf_append_slice(&request, x->request->target);
    tk_buf_append_char(&request, '\n');
    tk_buf_append_slice(&request, tk_buf_slice(&x->body));
    SHA256((const unsigned char *)key, strlen(key), once->key);
    SHA256((const unsigned char *)request.data, request.len, once->request);
    tk_buf_fini(&request);
    return true;
}

bool idempotency_accept(struct exchange *x, enum users_outcome outcome)
{
    switch (outcome) {
    case USERS_CREATED:
        return true;
    case USERS_REPLAYED:
        response_add_header(x->response, "Idempotency-Replayed", "true");
        return true;
    case USERS_OTHER_REQUEST:
        refuse(x, JSONAPI_KEY_REUSED, "The key was used for another request.");
        return false;
    default:
        refuse(x, JSONAPI_CONFLICT, "A request with this key is still running.");
        response_add_header(x->response, "Retry-After", "1");
        return false;
    }
}
