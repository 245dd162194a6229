/* SPDX-License-Identifier: MIT */
/* UUIDs as text and the public ids derived from them. */
#include "common/tk_uuid.h"

#include <errno.h>
#include <openssl/sha.h>
#include <sys/random.h>

#include "common/tk_hex.h"

/* A dash stands in front of bytes 4, 6, 8 and 10. */
static bool has_dash_before(size_t byte)
{
    return byte == 4 || byte == 6 || byte == 8 || byte == 10;
}

enum tk_err tk_uuid_parse(struct tk_slice text, struct tk_uuid *uuid)
{
    struct tk_uuid parsed;
    const char *p = text.ptr;

    if (text.len != TK_UUID_LEN)
        return TK_EINVAL;
    for (size_t i = 0; i < sizeof(parsed.bytes); i++) {
        if (has_dash_before(i) && *p++ != '-')
            return TK_EINVAL;
        int high = tk_hex_value(*p++);
        int low = tk_hex_value(*p++);
        if (high < 0 || low < 0)
            return TK_EINVAL;
        parsed.bytes[i] = (uint8_t)(high << 4 | low);
    }
    *uuid = parsed;
    return TK_OK;
}

char *tk_uuid_format(const struct tk_uuid *uuid, char out[TK_UUID_LEN + 1])
{
    char *p = out;

    for (size_t i = 0; i < sizeof(uuid->bytes); i++) {
        if (has_dash_before(i))
            *p++ = '-';
        *p++ = tk_hex_digit(uuid->bytes[i] >> 4);
        *p++ = tk_hex_digit(uuid->bytes[i]);
    }
    *p = '\0';
    return out;
}

char *tk_uuid_short(const struct tk_uuid *uuid, char out[9])
{
    char full[TK_UUID_LEN + 1];

    memcpy(out, tk_uuid_format(uuid, full), 8);
    out[8] = '\0';
    return out;
}

void tk_uuid_random(struct tk_uuid *uuid)
{
    ssize_t got;

    do {
        got = getrandom(uuid->bytes, sizeof(uuid->bytes), 0);
    } while (got < 0 && errno == EINTR);
    tk_assert(got == (ssize_t)sizeof(uuid->bytes)); /* up to 256 bytes come whole */

    uuid->bytes[6] = (uint8_t)((uuid->bytes[6] & 0x0f) | 0x40); /* version 4 */
    uuid->bytes[8] = (uint8_t)((uuid->bytes[8] & 0x3f) | 0x80); /* RFC 9562 variant */
}

char *tk_public_id(const struct tk_uuid *uuid, char out[TK_PUBLIC_ID_LEN + 1])
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    static const char domain[] = "tako-public-id:";
    char text[sizeof(domain) + TK_UUID_LEN];
    unsigned char digest[SHA256_DIGEST_LENGTH];

    memcpy(text, domain, sizeof(domain) - 1);
    tk_uuid_format(uuid, text + sizeof(domain) - 1);
    SHA256((const unsigned char *)text, sizeof(text) - 1, digest);

    for (size_t i = 0; i < TK_PUBLIC_ID_LEN; i++) {
        size_t bit = i * 6; /* the six bits from here lie within two bytes */
        unsigned pair = (unsigned)digest[bit / 8] << 8 | digest[bit / 8 + 1];
        out[i] = alphabet[pair >> (10 - bit % 8) & 63];
    }
    out[TK_PUBLIC_ID_LEN] = '\0';
    return out;
}
