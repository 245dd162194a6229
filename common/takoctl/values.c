/* SPDX-License-Identifier: MIT */
/* Checks of single values, each with a sentence that says what would be right. */
#include "common/takoctl/values.h"

#include <inttypes.h>

#include "common/envelope.h"
#include "common/tk_json.h"

/* The channels contract promises frames nested 64 deep; the frame itself is one level. */
#define MAX_PAYLOAD_DEPTH 63

/* U+0000 to U+001F, U+007F and U+0080 to U+009F; text is UTF-8. */
static bool has_control_character(struct tk_slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if (c < 0x20 || c == 0x7f)
            return true;
        if (c == 0xc2 && (unsigned char)text.ptr[i + 1] < 0xa0)
            return true;
    }
    return false;
}

enum tk_err ctl_check_name(const char *what, const char *text, struct ctl_problem *problem)
{
    struct tk_slice name = tk_slice_str(text);

    if (name.len == 0 || name.len > TK_TOPIC_MAX)
        return ctl_problem_set(problem, "the %s must have 1 to %d bytes, and this one has %zu",
                               what, TK_TOPIC_MAX, name.len);
    enum tk_err err = ctl_check_text(what, text, problem);
    if (!err && has_control_character(name))
        err = ctl_problem_set(problem, "the %s must not contain control characters", what);
    return err;
}

enum tk_err ctl_check_payload(const char *json, struct ctl_problem *problem)
{
    static const struct tk_json_rules rules = {.max_depth = MAX_PAYLOAD_DEPTH,
                                               .refuse_huge_numbers = true};
    struct tk_json_value value;
    size_t offset = 0;

    switch (tk_json_scan(tk_slice_str(json), &rules, &value, &offset)) {
    case TK_OK:
        break;
    case TK_ELIMIT:
        return ctl_problem_set(problem, "the payload is nested more than %d levels deep",
                               MAX_PAYLOAD_DEPTH);
    default:
        return ctl_problem_set(problem,
                               "the payload is not JSON, from byte %zu on; in a shell, put it in "
                               "single quotes: '{\"key\":\"value\"}'",
                               offset + 1);
    }
    if (value.type != TK_JSON_OBJECT)
        return ctl_problem_set(problem, "the payload must be a JSON object, such as "
                                        "'{\"key\":\"value\"}'; clients cannot take anything else");
    return TK_OK;
}

enum tk_err ctl_check_text(const char *what, const char *text, struct ctl_problem *problem)
{
    if (!tk_utf8_valid(tk_slice_str(text)))
        return ctl_problem_set(problem, "the %s is not UTF-8", what);
    return TK_OK;
}

enum tk_err ctl_parse_user_id(const char *text, struct tk_uuid *id, struct ctl_problem *problem)
{
    if (tk_uuid_parse(tk_slice_str(text), id) != TK_OK)
        return ctl_problem_set(problem, "the user's id must be a UUID, such as "
                                        "01234567-89ab-4cde-8f01-23456789abcd");
    return TK_OK;
}

enum tk_err ctl_parse_number(const char *what, const char *text, int64_t max, int64_t *number,
                             struct ctl_problem *problem)
{
    int64_t value = 0;
    bool is_good = text[0] != '\0';

    for (const char *p = text; *p != '\0' && is_good; p++) {
        is_good = *p >= '0' && *p <= '9' && !__builtin_mul_overflow(value, INT64_C(10), &value) &&
                  !__builtin_add_overflow(value, *p - '0', &value) && value <= max;
    }
    if (!is_good)
        return ctl_problem_set(problem, "%s must be a whole number between 0 and %" PRId64, what,
                               max);
    *number = value;
    return TK_OK;
}
