/* SPDX-License-Identifier: MIT */
#include "fcgi-api/etag.h"

#include <inttypes.h>
#include <openssl/sha.h>
#include <stdio.h>

struct etag etag_of_version(int64_t version)
{
    struct etag etag;

    snprintf(etag.text, sizeof(etag.text), "\"%" PRIx64 "\"", (uint64_t)version);
    return etag;
}

struct etag etag_of_bytes(struct tk_slice bytes)
{
    unsigned char digest[SHA256_DIGEST_LENGTH];
    struct etag etag;
    size_t len = 0;

    SHA256((const unsigned char *)(bytes.ptr != NULL ? bytes.ptr : ""), bytes.len, digest);
    etag.text[len++] = '"';
    for (size_t i = 0; i < 16; i++)
        len += (size_t)snprintf(etag.text + len, 3, "%02x", digest[i]);
    snprintf(etag.text + len, sizeof(etag.text) - len, "\"");
    return etag;
}

static const char *skip_separators(const char *at)
{
    return at + strspn(at, ", \t");
}

/* Walks `"a", W/"b"`; what is no tag ends the list. */
static bool list_has(const char *list, const struct etag *etag, bool weak_counts)
{
    if (strcmp(list, "*") == 0)
        return true;
    for (const char *at = skip_separators(list); *at != '\0'; at = skip_separators(at)) {
        bool weak = strncmp(at, "W/", 2) == 0;
        const char *tag = weak ? at + 2 : at;
        const char *end = tag[0] == '"' ? strchr(tag + 1, '"') : NULL;

        if (end == NULL)
            return false;
        at = end + 1;
        if ((weak_counts || !weak) &&
            tk_slice_eq_str(tk_slice(tag, (size_t)(at - tag)), etag->text))
            return true;
    }
    return false;
}

bool etag_if_match(const char *header, const struct etag *etag)
{
    return list_has(header, etag, false);
}

bool etag_if_none_match(const char *header, const struct etag *etag)
{
    return list_has(header, etag, true);
}
