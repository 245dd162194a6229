/* SPDX-License-Identifier: MIT */
/* Form decoding as browsers encode. */
#include "fcgi-api/query.h"

#include <stdio.h>

#include "common/tk_hex.h"
#include "common/tk_json.h"

/* '+' is a blank; a '%' without two hex digits stands for itself (H83). */
static struct tk_slice decode(struct tk_slice raw, struct tk_buf *text)
{
    size_t start = text->len;

    for (size_t i = 0; i < raw.len; i++) {
        char c = raw.ptr[i];
        int high = c == '%' && i + 2 < raw.len ? tk_hex_value(raw.ptr[i + 1]) : -1;
        int low = high >= 0 ? tk_hex_value(raw.ptr[i + 2]) : -1;

        if (low >= 0) {
            c = (char)(high << 4 | low);
            i += 2;
        } else if (c == '+') {
            c = ' ';
        }
        tk_buf_append_char(text, c);
    }
    return tk_slice(text->data + start, text->len - start);
}

struct tk_slice query_cut(struct tk_slice *rest, char separator)
{
    const char *end = rest->len > 0 ? memchr(rest->ptr, separator, rest->len) : NULL;
    size_t len = end != NULL ? (size_t)(end - rest->ptr) : rest->len;
    struct tk_slice part = tk_slice(rest->ptr, len);

    *rest = end != NULL ? tk_slice(end + 1, rest->len - len - 1) : (struct tk_slice){0};
    return part;
}

enum tk_err query_parse(struct tk_slice raw, struct query *query)
{
    query->count = 0;
    query->text = (struct tk_buf){0};
    tk_buf_reserve(&query->text, raw.len + 1); /* decoding never grows: the slices stay valid */
    while (raw.len > 0) {
        struct tk_slice value = query_cut(&raw, '&');
        if (value.len == 0)
            continue;
        if (query->count == QUERY_MAX_PARAMETERS)
            return TK_ELIMIT;
        struct query_parameter *parameter = &query->parameters[query->count++];
        struct tk_slice name = query_cut(&value, '=');
        parameter->name = decode(name, &query->text);
        parameter->value = decode(value, &query->text);
        if (!tk_utf8_valid(parameter->name) || !tk_utf8_valid(parameter->value))
            return TK_EINVAL;
    }
    return TK_OK;
}

void query_fini(struct query *query)
{
    tk_buf_fini(&query->text);
    query->count = 0;
}

bool query_is_overridden(const struct query *query, const struct query_parameter *parameter)
{
    for (const struct query_parameter *p = parameter + 1; p < query->parameters + query->count;
         p++) {
        if (tk_slice_eq(p->name, parameter->name))
            return true;
    }
    return false;
}

void query_refuse(struct jsonapi_errors *errors, enum jsonapi_error kind,
                  const struct query_parameter *parameter, const char *detail)
{
    jsonapi_errors_add(errors, kind, detail, JSONAPI_SOURCE_PARAMETER, parameter->name);
}

bool query_parse_number(struct tk_slice text, unsigned max, unsigned *number)
{
    uint64_t value = 0;

    if (text.len == 0 || text.len > 10)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9')
            return false;
        value = value * 10 + (uint64_t)(text.ptr[i] - '0');
    }
    *number = (unsigned)value;
    return value <= max;
}

void query_encode(struct tk_slice text, struct tk_buf *out)
{
    static const char unreserved[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~,";

    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if (c != '\0' && strchr(unreserved, c) != NULL)
            tk_buf_append_char(out, (char)c);
        else
            tk_buf_appendf(out, "%%%02X", c);
    }
}

void query_read_limit(const struct query *query, unsigned max, unsigned *limit,
                      struct jsonapi_errors *errors)
{
    for (size_t i = 0; i < query->count; i++) {
        const struct query_parameter *parameter = &query->parameters[i];
        unsigned number;

        if (!tk_slice_eq_str(parameter->name, "page[limit]") ||
            query_is_overridden(query, parameter))
            continue;
        if (query_parse_number(parameter->value, max, &number) && number > 0) {
            *limit = number;
        } else {
            char detail[64];
            snprintf(detail, sizeof(detail), "page[limit] must be between 1 and %u.", max);
            query_refuse(errors, JSONAPI_INVALID_PAGINATION, parameter, detail);
        }
    }
}
