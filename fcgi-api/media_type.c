/* SPDX-License-Identifier: MIT */
/*
 * One small parser for "type/subtype; name=value; ...", in lists for Accept. It does not judge
 * syntax: what it cannot read becomes a media type that matches nothing.
 */
#include "fcgi-api/media_type.h"

#include <strings.h>

struct media_range {
    struct tk_slice type; /* "application/json" */
    bool has_unknown;     /* a parameter besides q and profile */
    bool refused;         /* q=0 */
};

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static struct tk_slice trim(struct tk_slice text)
{
    while (text.len > 0 && is_blank(text.ptr[0]))
        text = tk_slice(text.ptr + 1, text.len - 1);
    while (text.len > 0 && is_blank(text.ptr[text.len - 1]))
        text.len--;
    return text;
}

static bool equals(struct tk_slice text, const char *word)
{
    return text.len == strlen(word) && strncasecmp(text.ptr, word, text.len) == 0;
}

/* Cuts the next part off rest, at a separator outside quotes. False when nothing is left. */
static bool next_part(struct tk_slice *rest, char separator, struct tk_slice *part)
{
    bool quoted = false;
    size_t at = 0;

    if (rest->ptr == NULL)
        return false;
    for (; at < rest->len && (quoted || rest->ptr[at] != separator); at++) {
        if (rest->ptr[at] == '"')
            quoted = !quoted;
        else if (quoted && rest->ptr[at] == '\\' && at + 1 < rest->len)
            at++;
    }
    *part = trim(tk_slice(rest->ptr, at));
    *rest =
        at < rest->len ? tk_slice(rest->ptr + at + 1, rest->len - at - 1) : (struct tk_slice){0};
    return true;
}

/* "0", "0.", "0.000" */
static bool is_zero_weight(struct tk_slice value)
{
    if (value.len == 0 || value.ptr[0] != '0')
        return false;
    for (size_t i = 1; i < value.len; i++) {
        if (value.ptr[i] != (i == 1 ? '.' : '0'))
            return false;
    }
    return true;
}

static void read_parameter(struct media_range *range, struct tk_slice parameter)
{
    struct tk_slice name, value = {0};

    if (parameter.len == 0)
        return; /* a stray ';' */
    (void)next_part(&parameter, '=', &name);
    if (parameter.ptr != NULL)
        value = trim(parameter);
    if (equals(name, "q"))
        range->refused = is_zero_weight(value);
    else if (!equals(name, "profile"))
        range->has_unknown = true;
}

static struct media_range parse_range(struct tk_slice text)
{
    struct media_range range = {0};
    struct tk_slice parameter;

    (void)next_part(&text, ';', &range.type);
    while (next_part(&text, ';', &parameter))
        read_parameter(&range, parameter);
    return range;
}

enum media_kind media_content_type(const char *header)
{
    if (header == NULL)
        return MEDIA_KIND_OTHER;
    /* q means nothing here and counts as what it is, an unknown parameter. */
    struct tk_slice text = tk_slice_str(header), type, parameter, name;
    bool has_unknown = false;

    (void)next_part(&text, ';', &type);
    if (!equals(type, MEDIA_JSONAPI))
        return MEDIA_KIND_OTHER;
    while (next_part(&text, ';', &parameter)) {
        if (parameter.len == 0)
            continue; /* a stray ';' */
        (void)next_part(&parameter, '=', &name);
        has_unknown = has_unknown || !equals(name, "profile");
    }
    return has_unknown ? MEDIA_KIND_JSONAPI_WITH_UNKNOWN : MEDIA_KIND_JSONAPI;
}

static bool is_json_or_wild(struct tk_slice type)
{
    return equals(type, "application/json") || equals(type, "application/*") || equals(type, "*/*");
}

bool media_accepts_jsonapi(const char *header)
{
    struct tk_slice rest, part;
    bool any = false, named = false, named_plainly = false;

    if (header == NULL)
        return true;
    for (rest = tk_slice_str(header); next_part(&rest, ',', &part);) {
        struct media_range range = parse_range(part);
        bool is_ours = equals(range.type, MEDIA_JSONAPI);

        if (is_ours) {
            named = true;
            named_plainly = named_plainly || !range.has_unknown;
        }
        if (!range.refused && (is_ours ? !range.has_unknown : is_json_or_wild(range.type)))
            any = true;
    }
    /* Naming the type only in forms we do not serve is 406, whatever stands beside it (H27). */
    return any && (!named || named_plainly);
}

bool media_accepts_json(const char *header)
{
    struct tk_slice rest, part;

    if (header == NULL)
        return true;
    for (rest = tk_slice_str(header); next_part(&rest, ',', &part);) {
        struct media_range range = parse_range(part);
        if (!range.refused && (equals(range.type, MEDIA_JSONAPI) || is_json_or_wild(range.type)))
            return true;
    }
    return false;
}
