/* SPDX-License-Identifier: MIT */
/* Who asks, as far as rate limits care (H98). */
#pragma once

#include "common/tk_settings.h"
#include "fcgi-api/request.h"

/* IPv6, or IPv4 as ::ffff:a.b.c.d. */
struct client_address {
    uint8_t bytes[16];
};

/* Addresses and networks (10.0.0.0/8) whose X-Forwarded-For is believed. */
struct trusted_proxies;

/* TK_EINVAL when an item is neither; *bad is its number. An empty list trusts nobody. */
enum tk_err trusted_proxies_new(const struct tk_string_list *items,
                                struct trusted_proxies **proxies, size_t *bad) TK_MUST_CHECK;
void trusted_proxies_free(struct trusted_proxies *proxies);

/*
 * REMOTE_ADDR, or behind trusted proxies the last address of X-Forwarded-For that is not one of
 * them. What cannot be read counts as one address of its own. Of IPv6 the first 64 bits are kept:
 * the rest is the client's own to choose.
 */
struct client_address client_address_of(const struct request *request,
                                        const struct trusted_proxies *proxies);
