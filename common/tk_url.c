/* SPDX-License-Identifier: MIT */
/* The addresses of PostgreSQL and Redis. Reasons are constant texts: a URL may hold a password. */
#include "common/tk_url.h"

#include <libpq-fe.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/un.h>

#include "common/tk_hex.h"

#define REDIS_PORT 6379

/* Whether url begins with scheme; *rest is what follows. */
static bool has_scheme(const char *url, const char *scheme, const char **rest)
{
    size_t len = strlen(scheme);

    if (strncmp(url, scheme, len) != 0)
        return false;
    *rest = url + len;
    return true;
}

enum tk_err tk_database_url(const char *url, char **conninfo, const char **why)
{
    const char *rest;
    char *uri;

    if (has_scheme(url, "ecto://", &rest)) {
        uri = tk_xasprintf("postgresql://%s", rest);
    } else if (has_scheme(url, "postgres://", &rest) || has_scheme(url, "postgresql://", &rest)) {
        uri = tk_xstrdup(url);
    } else {
        *why = "must begin with postgres://, postgresql:// or ecto://";
        return TK_EINVAL;
    }

    PQconninfoOption *options = PQconninfoParse(uri, NULL);
    if (options == NULL) {
        free(uri);
        *why = "is not understood by libpq: characters like @ : / ? # % in a name or password must "
               "be percent-encoded, and parameters behind ? must be libpq's";
        return TK_EINVAL;
    }
    PQconninfoFree(options);
    *conninfo = uri;
    return TK_OK;
}

/* Percent-decodes text into *decoded; refuses bad escapes and NUL. The caller owns the result. */
static bool decode(struct tk_slice text, char **decoded)
{
    char *copy = tk_xmalloc(text.len + 1);
    size_t len = 0;

    for (size_t i = 0; i < text.len; i++) {
        int byte = (unsigned char)text.ptr[i];
        if (byte == '%') {
            int high = i + 2 < text.len ? tk_hex_value(text.ptr[i + 1]) : -1;
            int low = i + 2 < text.len ? tk_hex_value(text.ptr[i + 2]) : -1;
            byte = high < 0 || low < 0 ? 0 : high << 4 | low;
            i += 2;
        }
        if (byte == 0) {
            free(copy);
            return false;
        }
        copy[len++] = (char)byte;
    }
    copy[len] = '\0';
    *decoded = copy;
    return true;
}

/* A decimal number of digits only, up to the end of text. */
static bool parse_number(struct tk_slice text, int max, int *number)
{
    long long value = 0;

    if (text.len == 0)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9')
            return false;
        value = value * 10 + (text.ptr[i] - '0');
        if (value > max)
            return false;
    }
    *number = (int)value;
    return true;
}

/* text up to the first separator; text is moved behind it, or to its end. */
static struct tk_slice cut(struct tk_slice *text, char separator, bool *found)
{
    const char *at = text->len > 0 ? memchr(text->ptr, separator, text->len) : NULL;
    struct tk_slice before = *text;

    *found = at != NULL;
    if (at != NULL)
        before.len = (size_t)(at - text->ptr);
    size_t used = before.len + *found;
    *text = tk_slice(text->ptr + used, text->len - used);
    return before;
}

/* user:password, user or :password. Empty ones count as not given. */
static const char *parse_login(struct tk_slice login, struct tk_redis_address *address)
{
    bool has_password;
    struct tk_slice user = cut(&login, ':', &has_password);

    if ((user.len > 0 && !decode(user, &address->user)) ||
        (login.len > 0 && !decode(login, &address->password)))
        return "has a bad percent escape in its user or password";
    return NULL;
}

/* host, host:port, or an IPv6 address in brackets. */
static const char *parse_host_port(struct tk_slice text, struct tk_redis_address *address)
{
    struct tk_slice host;
    bool has_port;

    if (text.len > 0 && text.ptr[0] == '[') {
        bool closed;
        text = tk_slice(text.ptr + 1, text.len - 1);
        host = cut(&text, ']', &closed);
        if (!closed || (text.len > 0 && text.ptr[0] != ':'))
            return "has a bad IPv6 address, must be like redis://[::1]:6379";
        has_port = text.len > 0;
        if (has_port)
            text = tk_slice(text.ptr + 1, text.len - 1);
    } else {
        host = cut(&text, ':', &has_port);
    }

    if (host.len == 0)
        return "has no host, must be like redis://host:6379/0";
    if (!decode(host, &address->host))
        return "has a bad percent escape in its host";
    if (has_port && (!parse_number(text, 65535, &address->port) || address->port == 0))
        return "has a bad port, must be between 1 and 65535";
    return NULL;
}

/* The part before the first '/', behind the login if there is one. */
static const char *take_login(struct tk_slice *authority, struct tk_redis_address *address)
{
    const char *at = authority->len > 0 ? memrchr(authority->ptr, '@', authority->len) : NULL;

    if (at == NULL)
        return NULL;
    struct tk_slice login = tk_slice(authority->ptr, (size_t)(at - authority->ptr));
    *authority = tk_slice(at + 1, authority->len - login.len - 1);
    return parse_login(login, address);
}

static const char *parse_tcp(struct tk_slice authority, struct tk_slice path,
                             struct tk_redis_address *address)
{
    const char *why = parse_host_port(authority, address);

    if (why == NULL && path.len > 0 && !parse_number(path, INT_MAX, &address->db))
        why = "has a bad database number, must be like redis://host:6379/0";
    return why;
}

static const char *parse_unix(struct tk_slice authority, struct tk_slice path,
                              struct tk_redis_address *address)
{
    static const char query_name[] = "db=";
    const size_t name_len = sizeof(query_name) - 1;
    bool has_query;

    struct tk_slice query = path;
    path = cut(&query, '?', &has_query);
    if (authority.len > 0 || path.len == 0 || path.ptr[0] != '/')
        return "has no absolute path, must be like unix:///run/redis/redis.sock";
    if (has_query && (query.len < name_len || memcmp(query.ptr, query_name, name_len) != 0 ||
                      !parse_number(tk_slice(query.ptr + name_len, query.len - name_len), INT_MAX,
                                    &address->db)))
        return "has a bad database number, must be like unix:///run/redis/redis.sock?db=0";
    if (!decode(path, &address->unix_path))
        return "has a bad percent escape in its path";
    if (strlen(address->unix_path) >= sizeof(((struct sockaddr_un *)NULL)->sun_path))
        return "has a path that is too long for a unix socket";
    return NULL;
}

enum tk_err tk_redis_url(const char *url, struct tk_redis_address *address, const char **why)
{
    struct tk_redis_address parsed = {.port = REDIS_PORT};
    const char *rest, *problem;

    if (has_scheme(url, "rediss://", &rest)) {
        *why = "asks for TLS, which is not built in: use redis:// or unix:// on a private network, "
               "or a local TLS tunnel such as stunnel";
        return TK_EINVAL;
    }
    bool is_unix = has_scheme(url, "unix://", &rest);
    if (!is_unix && !has_scheme(url, "redis://", &rest)) {
        *why = "must begin with redis:// or unix://";
        return TK_EINVAL;
    }

    struct tk_slice authority = tk_slice(rest, strcspn(rest, "/?#"));
    struct tk_slice path = tk_slice_str(rest + authority.len);
    problem = take_login(&authority, &parsed);
    if (problem == NULL && is_unix) {
        problem = parse_unix(authority, path, &parsed);
    } else if (problem == NULL) {
        if (path.len > 0 && path.ptr[0] == '/')
            path = tk_slice(path.ptr + 1, path.len - 1);
        problem = parse_tcp(authority, path, &parsed);
    }
    if (problem != NULL) {
        tk_redis_address_fini(&parsed);
        *why = problem;
        return TK_EINVAL;
    }
    *address = parsed;
    return TK_OK;
}

void tk_redis_address_fini(struct tk_redis_address *address)
{
    free(address->host);
    free(address->unix_path);
    free(address->user);
    free(address->password);
    *address = (struct tk_redis_address){0};
}
