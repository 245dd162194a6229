/* SPDX-License-Identifier: MIT */
#include "fcgi-api/resources/user_attributes.h"

#include <inttypes.h>
#include <stdio.h>

#define NICKNAME "nickname"
#define STAMPS   "stamps_collected"

const char *const user_attribute_names[] = {NICKNAME, STAMPS, NULL};

static void refuse(struct jsonapi_errors *errors, enum jsonapi_error kind, const char *detail,
                   const char *attribute)
{
    char pointer[64];

    snprintf(pointer, sizeof(pointer), "/data/attributes/%s", attribute);
    jsonapi_errors_add(errors, kind, detail, JSONAPI_SOURCE_POINTER, tk_slice_str(pointer));
}

static struct tk_slice text_of(json_object *string)
{
    return tk_slice(json_object_get_string(string), (size_t)json_object_get_string_len(string));
}

/* null and "" both take the name away (H44, H48). */
static void read_nickname(json_object *value, const struct nickname_rules *rules,
                          struct user_changes *changes, struct tk_buf *text,
                          struct jsonapi_errors *errors)
{
    struct nickname_problem problem;

    changes->set_nickname = true;
    changes->nickname = NULL;
    if (value == NULL)
        return;
    if (!json_object_is_type(value, json_type_string)) {
        refuse(errors, JSONAPI_INVALID_BODY, "nickname: must be a string or null.", NICKNAME);
        return;
    }
    if (nickname_check(text_of(value), rules, text, &problem) != TK_OK)
        refuse(errors, JSONAPI_INVALID_ATTRIBUTE, problem.text, NICKNAME);
    else if (text->len > 0)
        changes->nickname = tk_buf_str(text);
}

enum tk_err user_stamps_parse(struct tk_slice text, int64_t *stamps)
{
    bool is_negative = text.len > 0 && text.ptr[0] == '-';
    size_t start = is_negative || (text.len > 0 && text.ptr[0] == '+') ? 1 : 0;
    int64_t value = 0;
    bool fits = true;

    if (text.len == start)
        return TK_ESYNTAX;
    for (size_t i = start; i < text.len; i++) {
        int digit = text.ptr[i] - '0';
        if (digit < 0 || digit > 9)
            return TK_ESYNTAX;
        fits = fits && !__builtin_mul_overflow(value, INT64_C(10), &value) &&
               !__builtin_add_overflow(value, is_negative ? -digit : digit, &value);
    }
    if (!fits)
        return TK_ELIMIT;
    *stamps = value;
    return TK_OK;
}

static void refuse_range(int64_t max, struct jsonapi_errors *errors)
{
    char detail[96];

    snprintf(detail, sizeof(detail), STAMPS ": must be between 0 and %" PRId64 ".", max);
    refuse(errors, JSONAPI_INVALID_ATTRIBUTE, detail, STAMPS);
}

/* H52: an integer, or a string that reads as one. json-c clamps huge integers, which stay huge. */
static void read_stamps(json_object *value, int64_t max, struct user_changes *changes,
                        struct jsonapi_errors *errors)
{
    int64_t number = 0;
    enum tk_err err = TK_OK;

    switch (json_object_get_type(value)) {
    case json_type_int:
        number = json_object_get_int64(value);
        break;
    case json_type_double:
        err = TK_ESYNTAX;
        break;
    case json_type_string:
        err = user_stamps_parse(text_of(value), &number);
        break;
    default:
        refuse(errors, JSONAPI_INVALID_BODY, STAMPS ": must be an integer.", STAMPS);
        return;
    }
    if (err == TK_ESYNTAX) {
        refuse(errors, JSONAPI_INVALID_ATTRIBUTE, STAMPS ": must be an integer.", STAMPS);
    } else if (err || number < 0 || number > max) {
        refuse_range(max, errors);
    } else {
        changes->set_stamps = true;
        changes->stamps_collected = number;
    }
}

bool user_attributes_read(json_object *attributes, const struct user_rules *rules,
                          struct user_changes *changes, struct tk_buf *nickname_text,
                          struct jsonapi_errors *errors)
{
    json_object *value;

    *changes = (struct user_changes){0};
    if (attributes == NULL)
        return true;
    if (json_object_object_get_ex(attributes, NICKNAME, &value))
        read_nickname(value, &rules->nickname, changes, nickname_text, errors);
    if (json_object_object_get_ex(attributes, STAMPS, &value))
        read_stamps(value, rules->stamps_max, changes, errors);
    return errors->status == 0;
}
