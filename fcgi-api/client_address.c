/* SPDX-License-Identifier: MIT */
/* Forwarded addresses are read from the right: only what a trusted proxy has added is true. */
#include "fcgi-api/client_address.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>

static const uint8_t ipv4_prefix[12] = {[10] = 0xff, [11] = 0xff};

struct network {
    struct client_address address;
    unsigned bits;
};

struct trusted_proxies {
    size_t count;
    struct network networks[];
};

static bool is_ipv4(const struct client_address *address)
{
    return memcmp(address->bytes, ipv4_prefix, sizeof(ipv4_prefix)) == 0;
}

static bool parse_address(struct tk_slice text, struct client_address *address)
{
    char copy[INET6_ADDRSTRLEN];

    if (text.len == 0 || text.len >= sizeof(copy) || memchr(text.ptr, '\0', text.len) != NULL)
        return false;
    snprintf(copy, sizeof(copy), "%.*s", (int)text.len, text.ptr);
    if (inet_pton(AF_INET6, copy, address->bytes) == 1)
        return true;
    memcpy(address->bytes, ipv4_prefix, sizeof(ipv4_prefix));
    return inet_pton(AF_INET, copy, address->bytes + sizeof(ipv4_prefix)) == 1;
}

static bool parse_bits(const char *text, unsigned max, unsigned *bits)
{
    if (text[0] == '\0' || strlen(text) > 3 || strspn(text, "0123456789") != strlen(text))
        return false;
    *bits = (unsigned)atoi(text);
    return *bits <= max;
}

/* "address" or "address/bits". */
static bool parse_network(const char *text, struct network *network)
{
    const char *slash = strchr(text, '/');
    size_t len = slash != NULL ? (size_t)(slash - text) : strlen(text);

    if (!parse_address(tk_slice(text, len), &network->address))
        return false;
    unsigned offset = is_ipv4(&network->address) ? 96 : 0;
    network->bits = 128 - offset;
    if (slash != NULL && !parse_bits(slash + 1, 128 - offset, &network->bits))
        return false;
    network->bits += offset;
    return true;
}

enum tk_err trusted_proxies_new(const struct tk_string_list *items,
                                struct trusted_proxies **proxies, size_t *bad)
{
    struct trusted_proxies *list =
        tk_xcalloc(1, sizeof(*list) + items->count * sizeof(list->networks[0]));

    for (; list->count < items->count; list->count++) {
        if (!parse_network(items->items[list->count], &list->networks[list->count])) {
            *bad = list->count;
            free(list);
            return TK_EINVAL;
        }
    }
    *proxies = list;
    return TK_OK;
}

void trusted_proxies_free(struct trusted_proxies *proxies)
{
    free(proxies);
}

static bool is_within(const struct client_address *address, const struct network *network)
{
    unsigned bytes = network->bits / 8, bits = network->bits % 8;

    if (memcmp(address->bytes, network->address.bytes, bytes) != 0)
        return false;
    return bits == 0 || (address->bytes[bytes] ^ network->address.bytes[bytes]) >> (8 - bits) == 0;
}

static bool is_trusted(const struct trusted_proxies *proxies, const struct client_address *address)
{
    for (size_t i = 0; i < proxies->count; i++) {
        if (is_within(address, &proxies->networks[i]))
            return true;
    }
    return false;
}

static struct tk_slice trim(struct tk_slice text)
{
    while (text.len > 0 && (text.ptr[0] == ' ' || text.ptr[0] == '\t'))
        text = tk_slice(text.ptr + 1, text.len - 1);
    while (text.len > 0 && (text.ptr[text.len - 1] == ' ' || text.ptr[text.len - 1] == '\t'))
        text.len--;
    return text;
}

/* Takes the last element off a comma separated list. */
static struct tk_slice take_last(struct tk_slice *list)
{
    const char *comma = list->len > 0 ? memrchr(list->ptr, ',', list->len) : NULL;
    size_t start = comma != NULL ? (size_t)(comma - list->ptr) + 1 : 0;
    struct tk_slice last = tk_slice(list->ptr + start, list->len - start);

    list->len = comma != NULL ? start - 1 : 0;
    return trim(last);
}

struct client_address client_address_of(const struct request *request,
                                        const struct trusted_proxies *proxies)
{
    struct client_address address = {{0}}, before;
    const char *remote = request->headers[HEADER_REMOTE_ADDRESS];
    const char *forwarded = request->headers[HEADER_FORWARDED_FOR];
    struct tk_slice list = tk_slice_str(forwarded != NULL ? forwarded : "");

    if (remote == NULL || !parse_address(tk_slice_str(remote), &address))
        return (struct client_address){{0}};
    while (list.len > 0 && is_trusted(proxies, &address)) {
        if (!parse_address(take_last(&list), &before))
            break;
        address = before;
    }
    if (!is_ipv4(&address))
        memset(address.bytes + 8, 0, 8);
    return address;
}
