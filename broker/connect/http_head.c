/* SPDX-License-Identifier: MIT */
/*
 * Two steps: find the blank line, then slice what is before it. While the head is incomplete only
 * the first step runs, so a client that sends byte by byte costs a few memchr per byte.
 * Invariant: a head that parsed holds no control character except tabs inside header values.
 */
#include "broker/connect/http_head.h"

#include <strings.h>

/* RFC 9110, 5.6.2 */
static bool is_token_char(unsigned char c)
{
    static const bool token_chars[256] = {
        ['!'] = true,         ['#' ... '\''] = true, ['*' ... '+'] = true,
        ['-' ... '.'] = true, ['0' ... '9'] = true,  ['A' ... 'Z'] = true,
        ['^' ... 'z'] = true, ['|'] = true,          ['~'] = true,
    };
    return token_chars[c];
}

/* Visible ASCII: more than RFC 3986 allows (userToken[]=x comes unescaped), but no fragment. */
static bool is_target_char(unsigned char c)
{
    return c > ' ' && c < 0x7f && c != '#';
}

static bool is_value_char(unsigned char c)
{
    return (c >= ' ' && c != 0x7f) || c == '\t';
}

static size_t span(struct tk_slice s, bool (*is_member)(unsigned char))
{
    size_t i = 0;
    while (i < s.len && is_member((unsigned char)s.ptr[i]))
        i++;
    return i;
}

static struct tk_slice skip(struct tk_slice s, size_t len)
{
    return tk_slice(s.ptr + len, s.len - len);
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static struct tk_slice trim(struct tk_slice s)
{
    while (s.len > 0 && is_blank(s.ptr[0]))
        s = skip(s, 1);
    while (s.len > 0 && is_blank(s.ptr[s.len - 1]))
        s.len--;
    return s;
}

/* True when s begins with prefix (any case). */
static bool has_prefix(struct tk_slice s, const char *prefix)
{
    size_t len = strlen(prefix);
    return s.len >= len && strncasecmp(s.ptr, prefix, len) == 0;
}

static bool equals_any_case(struct tk_slice a, struct tk_slice b)
{
    return a.len == b.len && strncasecmp(a.ptr, b.ptr, a.len) == 0;
}

/*
 * Finds the end of the head and the limits on the way to it. *len is set for HTTP_HEAD_OK only.
 */
static enum http_head_result find_end(struct tk_slice bytes, size_t *len)
{
    size_t limit = bytes.len < HTTP_HEAD_MAX ? bytes.len : HTTP_HEAD_MAX;
    size_t line = 0; /* where the present line begins */
    const char *lf;
    if (limit == 0)
        return HTTP_HEAD_MORE;
    if (!is_token_char((unsigned char)bytes.ptr[0]))
        return HTTP_HEAD_BAD; /* not HTTP: why wait for more of it */

    while ((lf = memchr(bytes.ptr + line, '\n', limit - line))) {
        size_t end = (size_t)(lf - bytes.ptr);
        if (end == line || lf[-1] != '\r')
            return HTTP_HEAD_BAD;
        if (line == 0 && end - 1 > HTTP_REQUEST_LINE_MAX)
            return HTTP_HEAD_URI_LONG;
        if (end - 1 == line) {
            *len = end + 1;
            return HTTP_HEAD_OK;
        }
        line = end + 1;
    }
    if (line == 0 && limit > HTTP_REQUEST_LINE_MAX + 1)
        return HTTP_HEAD_URI_LONG;
    return limit == HTTP_HEAD_MAX ? HTTP_HEAD_LARGE : HTTP_HEAD_MORE;
}

/* Up to the next CRLF, which find_end has seen. */
static struct tk_slice take_line(struct tk_slice *rest)
{
    const char *lf = memchr(rest->ptr, '\n', rest->len);
    struct tk_slice line = tk_slice(rest->ptr, (size_t)(lf - rest->ptr) - 1);
    *rest = skip(*rest, line.len + 2);
    return line;
}

/* Path and query of origin-form, absolute-form, or the asterisk of OPTIONS (RFC 9112, 3.2). */
static bool parse_target(struct tk_slice target, struct http_head *head)
{
    static const char *const schemes[] = {"http://", "https://"};
    for (size_t i = 0; i < TK_ARRAY_LEN(schemes); i++) {
        if (!has_prefix(target, schemes[i]))
            continue;
        size_t host = strlen(schemes[i]);
        const char *slash = memchr(target.ptr + host, '/', target.len - host);
        if (!slash)
            return false;
        target = skip(target, (size_t)(slash - target.ptr));
    }
    if (target.ptr[0] != '/' && !tk_slice_eq_str(target, "*"))
        return false;
    const char *mark = memchr(target.ptr, '?', target.len);
    size_t path_len = mark ? (size_t)(mark - target.ptr) : target.len;
    head->path = tk_slice(target.ptr, path_len);
    head->query = mark ? skip(target, path_len + 1) : tk_slice(NULL, 0);
    return true;
}

static bool parse_request_line(struct tk_slice line, struct http_head *head)
{
    head->method = tk_slice(line.ptr, span(line, is_token_char));
    line = skip(line, head->method.len);
    if (line.len == 0 || line.ptr[0] != ' ')
        return false;
    line = skip(line, 1);
    struct tk_slice target = tk_slice(line.ptr, span(line, is_target_char));
    struct tk_slice version = skip(line, target.len);
    if (target.len == 0 || !parse_target(target, head))
        return false;

    static const char known[] = " HTTP/1.";
    const size_t minor = sizeof(known) - 1;
    if (version.len != minor + 1 || memcmp(version.ptr, known, minor) != 0 ||
        version.ptr[minor] < '0' || version.ptr[minor] > '9')
        return false;
    head->minor_version = version.ptr[minor] - '0';
    return true;
}

static bool parse_header(struct tk_slice line, struct http_header *header)
{
    size_t name_len = span(line, is_token_char);
    if (name_len == 0 || name_len == line.len || line.ptr[name_len] != ':')
        return false;
    struct tk_slice value = skip(line, name_len + 1);
    header->name = tk_slice(line.ptr, name_len);
    header->value = trim(value);
    return span(value, is_value_char) == value.len;
}

enum http_head_result http_head_parse(struct tk_slice bytes, struct http_head *head)
{
    size_t len;
    enum http_head_result result = find_end(bytes, &len);
    if (result != HTTP_HEAD_OK)
        return result;

    struct tk_slice rest = tk_slice(bytes.ptr, len);
    struct tk_slice line = take_line(&rest);
    if (!parse_request_line(line, head))
        return HTTP_HEAD_BAD;
    head->len = len;
    head->header_count = 0;
    while ((line = take_line(&rest)).len > 0) {
        if (head->header_count == HTTP_HEAD_MAX_HEADERS)
            return HTTP_HEAD_LARGE;
        if (!parse_header(line, &head->headers[head->header_count++]))
            return HTTP_HEAD_BAD;
    }
    return HTTP_HEAD_OK;
}

struct tk_slice http_head_find(const struct http_head *head, const char *name, bool *found)
{
    const struct tk_slice wanted = tk_slice_str(name);
    if (found)
        *found = true;
    for (size_t i = 0; i < head->header_count; i++) {
        if (equals_any_case(head->headers[i].name, wanted))
            return head->headers[i].value;
    }
    if (found)
        *found = false;
    return tk_slice(NULL, 0);
}

static struct tk_slice take_element(struct tk_slice *rest)
{
    const char *comma = memchr(rest->ptr, ',', rest->len);
    size_t len = comma ? (size_t)(comma - rest->ptr) : rest->len;
    struct tk_slice element = tk_slice(rest->ptr, len);
    *rest = skip(*rest, comma ? len + 1 : len);
    return trim(element);
}

bool http_head_next_listed(const struct http_head *head, const char *name,
                           struct http_list_pos *pos, struct tk_slice *element)
{
    const struct tk_slice wanted = tk_slice_str(name);
    for (;;) {
        while (pos->rest.len > 0) {
            *element = take_element(&pos->rest);
            if (element->len > 0)
                return true;
        }
        if (pos->next_header == head->header_count)
            return false;
        const struct http_header *header = &head->headers[pos->next_header++];
        if (equals_any_case(header->name, wanted))
            pos->rest = header->value;
    }
}

bool http_head_lists(const struct http_head *head, const char *name, const char *token)
{
    struct http_list_pos pos = {0};
    struct tk_slice element;
    while (http_head_next_listed(head, name, &pos, &element)) {
        if (equals_any_case(element, tk_slice_str(token)))
            return true;
    }
    return false;
}
