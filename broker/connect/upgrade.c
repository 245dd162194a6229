/* SPDX-License-Identifier: MIT */
/*
 * The checks stand in the order of C2, the first failure answers, and nothing in an answer tells
 * which of Origin, vsn or user was refused (C6).
 * Not here: the query (query.c), Origin rules (origin.c), and the user lookup (handshake).
 */
#include "broker/connect/upgrade.h"

#define AUTH_TOKEN_PREFIX "base64url.bearer.phx."
#define KEY_MAX           127 /* what libwebsockets takes; a real one has 24 */

/*
 * Path
 */

/* The next segment that is not empty; empty at the end. */
static struct tk_slice take_segment(struct tk_slice *path)
{
    const char *p = path->ptr, *end = p + path->len;
    while (p < end && *p == '/')
        p++;
    const char *start = p;
    while (p < end && *p != '/')
        p++;
    *path = tk_slice(p, (size_t)(end - p));
    return tk_slice(start, (size_t)(p - start));
}

bool upgrade_path_is_socket(struct tk_slice path)
{
    return path.len > 0 && tk_slice_eq_str(take_segment(&path), "socket") &&
           tk_slice_eq_str(take_segment(&path), "websocket") && take_segment(&path).len == 0;
}

/*
 * vsn (C5): strict SemVer
 */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_identifier_char(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-';
}

static size_t count_leading(struct tk_slice s, bool (*is_member)(char))
{
    size_t n = 0;
    while (n < s.len && is_member(s.ptr[n]))
        n++;
    return n;
}

static struct tk_slice take(struct tk_slice *text, size_t len)
{
    struct tk_slice taken = tk_slice(text->ptr, len);
    if (len > 0) /* an empty text may be NULL */
        *text = tk_slice(text->ptr + len, text->len - len);
    return taken;
}

static bool take_char(struct tk_slice *text, char c)
{
    if (text->len == 0 || text->ptr[0] != c)
        return false;
    take(text, 1);
    return true;
}

static bool has_leading_zero(struct tk_slice digits)
{
    return digits.len > 1 && digits.ptr[0] == '0';
}

static bool take_number(struct tk_slice *text, struct tk_slice *number)
{
    *number = take(text, count_leading(*text, is_digit));
    return number->len > 0 && !has_leading_zero(*number);
}

/* Dotted identifiers; those of a pre-release must not be numbers with leading zeros. */
static bool take_identifiers(struct tk_slice *text, bool is_pre_release)
{
    do {
        struct tk_slice id = take(text, count_leading(*text, is_identifier_char));
        bool is_number = count_leading(id, is_digit) == id.len;
        if (id.len == 0 || (is_pre_release && is_number && has_leading_zero(id)))
            return false;
    } while (take_char(text, '.'));
    return true;
}

/* At least x.0.0 and below x.1.0: minor 0, and no pre-release of x.0.0 itself. */
static enum tk_err parse_vsn(struct tk_slice text, enum phx_vsn *vsn)
{
    struct tk_slice major, minor, patch;
    if (!take_number(&text, &major) || !take_char(&text, '.') || !take_number(&text, &minor) ||
        !take_char(&text, '.') || !take_number(&text, &patch))
        return TK_EINVAL;
    bool is_pre_release = take_char(&text, '-');
    if (is_pre_release && !take_identifiers(&text, true))
        return TK_EINVAL;
    if (take_char(&text, '+') && !take_identifiers(&text, false))
        return TK_EINVAL;
    if (text.len > 0 || !tk_slice_eq_str(minor, "0") ||
        (is_pre_release && tk_slice_eq_str(patch, "0")))
        return TK_EINVAL;
    if (!tk_slice_eq_str(major, "1") && !tk_slice_eq_str(major, "2"))
        return TK_EINVAL;
    *vsn = major.ptr[0] == '1' ? PHX_V1 : PHX_V2;
    return TK_OK;
}

static enum tk_err find_vsn(struct tk_slice query, enum phx_vsn *vsn)
{
    struct tk_buf value = {0};
    enum tk_err err = query_find(query, "vsn", &value);
    if (!err)
        err = parse_vsn(tk_buf_slice(&value), vsn);
    tk_buf_fini(&value);
    if (err == TK_ENOTFOUND) {
        *vsn = PHX_V1;
        return TK_OK;
    }
    return err;
}

/*
 * The user: userToken in the query, or authToken among the subprotocols (C14-C16)
 */

static bool offers_phoenix(const struct http_head *head)
{
    struct http_list_pos pos = {0};
    struct tk_slice offer;
    while (http_head_next_listed(head, "sec-websocket-protocol", &pos, &offer)) {
        if (tk_slice_eq_str(offer, "phoenix"))
            return true;
    }
    return false;
}

/* Both alphabets, since npm phoenix says base64url and sends the standard one. */
static int base64_value(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (is_digit(c))
        return c - '0' + 52;
    if (c == '+' || c == '-')
        return 62;
    return c == '/' || c == '_' ? 63 : -1;
}

static struct tk_slice strip_padding(struct tk_slice text)
{
    for (int i = 0; i < 2 && text.len > 0 && text.ptr[text.len - 1] == '='; i++)
        text.len--;
    return text;
}

static enum tk_err decode_base64(struct tk_slice text, struct tk_buf *out)
{
    struct tk_slice digits = strip_padding(text);
    bool is_padded = digits.len < text.len;
    if (digits.len % 4 == 1 || (is_padded && text.len % 4 != 0))
        return TK_EINVAL;
    unsigned bits = 0;
    for (size_t i = 0; i < digits.len; i++) {
        int value = base64_value(digits.ptr[i]);
        if (value < 0)
            return TK_EINVAL;
        bits = bits << 6 | (unsigned)value;
        if (i % 4 > 0)
            tk_buf_append_char(out, (char)(bits >> (6 - i % 4 * 2)));
    }
    return TK_OK;
}

static enum tk_err find_auth_token(const struct http_head *head, struct tk_buf *out)
{
    const size_t prefix = sizeof(AUTH_TOKEN_PREFIX) - 1;
    struct http_list_pos pos = {0};
    struct tk_slice offer;
    if (!offers_phoenix(head))
        return TK_ENOTFOUND;
    while (http_head_next_listed(head, "sec-websocket-protocol", &pos, &offer)) {
        if (offer.len >= prefix && memcmp(offer.ptr, AUTH_TOKEN_PREFIX, prefix) == 0)
            return decode_base64(tk_slice(offer.ptr + prefix, offer.len - prefix), out);
    }
    return TK_ENOTFOUND;
}

static bool is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static struct tk_slice trim(struct tk_slice s)
{
    while (s.len > 0 && is_blank(s.ptr[0]))
        take(&s, 1);
    while (s.len > 0 && is_blank(s.ptr[s.len - 1]))
        s.len--;
    return s;
}

static enum tk_err find_user(const struct http_head *head, struct tk_uuid *user)
{
    struct tk_buf token = {0};
    enum tk_err err = query_find(head->query, "userToken", &token);
    if (err == TK_ENOTFOUND)
        err = find_auth_token(head, &token);
    if (!err)
        err = tk_uuid_parse(trim(tk_buf_slice(&token)), user);
    tk_buf_fini(&token);
    return err;
}

/*
 * The request
 */

static bool has_allowed_origin(const struct http_head *head, const struct tk_string_list *origins)
{
    bool found;
    struct tk_slice origin = http_head_find(head, "origin", &found);
    return !found || origin_is_allowed(origin, origins);
}

enum upgrade_verdict upgrade_check_request(const struct http_head *head,
                                           const struct tk_string_list *origins,
                                           struct upgrade_request *request)
{
    struct upgrade_request asked = {0};
    if (!upgrade_path_is_socket(head->path))
        return tk_slice_eq_str(head->method, "HEAD") ? UPGRADE_NOT_FOUND_HEAD : UPGRADE_NOT_FOUND;
    if (!tk_slice_eq_str(head->method, "GET"))
        return UPGRADE_BAD_METHOD;
    if (!query_is_utf8(head->query))
        return UPGRADE_BAD_QUERY;
    if (!has_allowed_origin(head, origins))
        return UPGRADE_FORBIDDEN;
    if (find_vsn(head->query, &asked.vsn) || find_user(head, &asked.user))
        return UPGRADE_FORBIDDEN;
    asked.offers_phoenix_protocol = offers_phoenix(head);
    *request = asked;
    return UPGRADE_OK;
}

/* Any length that can be answered will do (C8); blanks and non-ASCII never stand in a key. */
static bool is_acceptable_key(struct tk_slice key)
{
    for (size_t i = 0; i < key.len; i++) {
        if (key.ptr[i] <= ' ' || key.ptr[i] > '~')
            return false;
    }
    return key.len > 0 && key.len <= KEY_MAX;
}

enum upgrade_verdict upgrade_check_headers(const struct http_head *head,
                                           struct upgrade_request *request)
{
    struct tk_slice key = http_head_find(head, "sec-websocket-key", NULL);
    if (head->minor_version == 0)
        return UPGRADE_BAD_REQUEST;
    if (!http_head_lists(head, "connection", "upgrade") ||
        !http_head_lists(head, "upgrade", "websocket"))
        return UPGRADE_REQUIRED;
    if (!is_acceptable_key(key))
        return UPGRADE_BAD_REQUEST;
    if (!tk_slice_eq_str(http_head_find(head, "sec-websocket-version", NULL), "13"))
        return UPGRADE_BAD_VERSION;
    request->key = key;
    return UPGRADE_OK;
}

/*
 * Refusals (C7)
 */

struct refusal {
    const char *status;
    const char *headers;    /* beyond Content-Type, Content-Length and Connection */
    const char *connection; /* beyond close */
    const char *json;
    bool has_body; /* json itself is sent, not only its length */
};

static const struct refusal refusals[] = {
    [UPGRADE_NOT_FOUND] = {.status = "404 Not Found",
                           .json = "{\"errors\":{\"detail\":\"Not Found\"}}",
                           .has_body = true},
    [UPGRADE_NOT_FOUND_HEAD] = {.status = "404 Not Found",
                                .json = "{\"errors\":{\"detail\":\"Not Found\"}}"},
    [UPGRADE_BAD_METHOD] = {.status = "400 Bad Request"},
    [UPGRADE_BAD_QUERY] = {.status = "400 Bad Request",
                           .json = "{\"errors\":{\"detail\":\"Bad Request\"}}",
                           .has_body = true},
    [UPGRADE_FORBIDDEN] = {.status = "403 Forbidden"},
    [UPGRADE_UNAVAILABLE] = {.status = "503 Service Unavailable", .headers = "Retry-After: 5\r\n"},
    [UPGRADE_REQUIRED] = {.status = "426 Upgrade Required",
                          .headers = "Upgrade: websocket\r\n",
                          .connection = "upgrade"},
    [UPGRADE_BAD_VERSION] = {.status = "426 Upgrade Required",
                             .headers = "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n",
                             .connection = "upgrade"},
    [UPGRADE_BAD_REQUEST] = {.status = "400 Bad Request"},
};

static void write_connection(const char *options, bool keep_alive, struct tk_buf *out)
{
    if (options)
        tk_buf_appendf(out, "Connection: %s%s\r\n", options, keep_alive ? "" : ", close");
    else if (!keep_alive)
        tk_buf_append_str(out, "Connection: close\r\n");
}

void upgrade_write_refusal(enum upgrade_verdict verdict, bool keep_alive, struct tk_buf *out)
{
    tk_assert(verdict > UPGRADE_OK && (size_t)verdict < TK_ARRAY_LEN(refusals));
    const struct refusal *r = &refusals[verdict];
    tk_buf_appendf(out, "HTTP/1.1 %s\r\n", r->status);
    if (r->json)
        tk_buf_append_str(out, "Content-Type: application/json; charset=utf-8\r\n");
    tk_buf_appendf(out, "Content-Length: %zu\r\n", r->json ? strlen(r->json) : 0);
    if (r->headers)
        tk_buf_append_str(out, r->headers);
    write_connection(r->connection, keep_alive, out);
    tk_buf_append_str(out, "\r\n");
    if (r->has_body)
        tk_buf_append_str(out, r->json);
}
