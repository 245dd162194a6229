/* SPDX-License-Identifier: MIT */
/*
 * Origins against the configured list. Both are taken apart by the same strict parser: what it does
 * not understand matches nothing, "null" included.
 */
#include "broker/connect/upgrade.h"

#include <strings.h>

struct origin {
    struct tk_slice scheme; /* empty in a rule: any */
    struct tk_slice host;   /* in a rule, "*.x" for x and all below it */
    int port;               /* ANY_PORT: none given and none implied */
};

#define ANY_PORT (-1)
#define MAX_PORT 65535

static bool equals_any_case(struct tk_slice a, struct tk_slice b)
{
    return a.len == b.len && (a.len == 0 || strncasecmp(a.ptr, b.ptr, a.len) == 0);
}

static int default_port(struct tk_slice scheme)
{
    if (equals_any_case(scheme, TK_SLICE("https")))
        return 443;
    if (equals_any_case(scheme, TK_SLICE("http")))
        return 80;
    return ANY_PORT;
}

static bool parse_port(struct tk_slice digits, int *port)
{
    int value = 0;
    if (digits.len == 0 || digits.len > 5)
        return false;
    for (size_t i = 0; i < digits.len; i++) {
        if (digits.ptr[i] < '0' || digits.ptr[i] > '9')
            return false;
        value = value * 10 + (digits.ptr[i] - '0');
    }
    *port = value;
    return value <= MAX_PORT;
}

/* The length of the host that authority begins with: a name, or an IPv6 address in brackets. */
static size_t host_len(struct tk_slice authority)
{
    const char *end = authority.len > 0 && authority.ptr[0] == '['
                          ? memchr(authority.ptr, ']', authority.len)
                          : memchr(authority.ptr, ':', authority.len);
    if (!end)
        return authority.len;
    return (size_t)(end - authority.ptr) + (*end == ']');
}

/* No user, path, query or list: a browser's Origin has none (RFC 6454, 7). */
static bool is_plain(struct tk_slice authority)
{
    for (size_t i = 0; i < authority.len; i++) {
        unsigned char c = (unsigned char)authority.ptr[i];
        if (c <= ' ' || c >= 0x7f || strchr("/@?#,\\", c))
            return false;
    }
    return true;
}

static bool parse_origin(struct tk_slice text, struct origin *origin)
{
    const char *slashes = text.len > 0 ? memmem(text.ptr, text.len, "//", 2) : NULL;
    if (!slashes)
        return false;
    size_t before = (size_t)(slashes - text.ptr);
    if (before == 1 || (before > 1 && slashes[-1] != ':'))
        return false;
    origin->scheme = tk_slice(text.ptr, before > 0 ? before - 1 : 0);
    struct tk_slice authority = tk_slice(slashes + 2, text.len - before - 2);
    if (authority.len == 0 || !is_plain(authority))
        return false;
    origin->host = tk_slice(authority.ptr, host_len(authority));
    origin->port = default_port(origin->scheme);
    struct tk_slice rest =
        tk_slice(authority.ptr + origin->host.len, authority.len - origin->host.len);
    if (rest.len == 0 || origin->host.len == 0)
        return origin->host.len > 0;
    return rest.ptr[0] == ':' && parse_port(tk_slice(rest.ptr + 1, rest.len - 1), &origin->port);
}

static bool host_matches(struct tk_slice host, struct tk_slice rule)
{
    if (rule.len < 2 || rule.ptr[0] != '*' || rule.ptr[1] != '.')
        return equals_any_case(host, rule);
    struct tk_slice below = tk_slice(rule.ptr + 1, rule.len - 1); /* ".x" */
    if (equals_any_case(host, tk_slice(rule.ptr + 2, rule.len - 2)))
        return true;
    return host.len > below.len &&
           equals_any_case(tk_slice(host.ptr + host.len - below.len, below.len), below);
}

static bool origin_matches(const struct origin *origin, const struct origin *rule)
{
    return (rule->scheme.len == 0 || equals_any_case(origin->scheme, rule->scheme)) &&
           (rule->port == ANY_PORT || origin->port == rule->port) &&
           host_matches(origin->host, rule->host);
}

bool origin_rule_is_valid(struct tk_slice rule)
{
    struct origin parsed;
    return parse_origin(rule, &parsed);
}

bool origin_is_allowed(struct tk_slice origin, const struct tk_string_list *allowed)
{
    struct origin asked, rule;
    if (allowed->count == 0)
        return true;
    if (!parse_origin(origin, &asked) || asked.scheme.len == 0)
        return false;
    for (size_t i = 0; i < allowed->count; i++) {
        if (parse_origin(tk_slice_str(allowed->items[i]), &rule) && origin_matches(&asked, &rule))
            return true;
    }
    return false;
}
