/* SPDX-License-Identifier: MIT */
/* The nickname rules, at their edges (H44-H50, H58). */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/accounts/nickname.h"

#define FAMILY     "\xF0\x9F\x91\xA8\xE2\x80\x8D\xF0\x9F\x91\xA9\xE2\x80\x8D\xF0\x9F\x91\xA7"
#define FLAG       "\xF0\x9F\x87\xAF\xF0\x9F\x87\xB5"
#define E_ACUTE    "e\xCC\x81"
#define GRIN       "\xF0\x9F\x98\x80"
#define THUMB_DARK "\xF0\x9F\x91\x8D\xF0\x9F\x8F\xBF"

static const struct nickname_rules create_rules = {.min_length = 0, .max_length = 24};
static const struct nickname_rules update_rules = {.min_length = 3, .max_length = 24};

static struct nickname_problem last_problem;

/* What would be stored, in a static buffer; NULL when it is refused. */
static const char *stored(struct tk_slice raw, const struct nickname_rules *rules)
{
    static char text[1024];
    struct tk_buf trimmed = {0};

    last_problem.text[0] = '\0';
    enum tk_err err = nickname_check(raw, rules, &trimmed, &last_problem);
    assert_true(err == TK_OK || err == TK_EINVAL);
    snprintf(text, sizeof(text), "%s", err ? "" : tk_buf_str(&trimmed));
    tk_buf_fini(&trimmed);
    return err ? NULL : text;
}

static const char *updated(const char *raw)
{
    return stored(tk_slice_str(raw), &update_rules);
}

static const char *created(const char *raw)
{
    return stored(tk_slice_str(raw), &create_rules);
}

/* unit, count times. */
static const char *repeated(const char *unit, int count)
{
    static char text[1024];

    text[0] = '\0';
    for (int i = 0; i < count; i++)
        strcat(text, unit);
    return text;
}

/* Both ends of the allowed length, for one "character" of that spelling (H46, D1). */
static void check_length_bounds(const char *unit)
{
    assert_null(updated(repeated(unit, 2)));
    assert_string_equal(last_problem.text, "nickname: length must be between 3 and 24 characters.");
    assert_non_null(updated(repeated(unit, 3)));
    assert_non_null(updated(repeated(unit, 24)));
    assert_null(updated(repeated(unit, 25)));

    assert_non_null(created(repeated(unit, 1)));
    assert_non_null(created(repeated(unit, 24)));
    assert_null(created(repeated(unit, 25)));
    assert_string_equal(last_problem.text, "nickname: length must be at most 24 characters.");
}

static void length_counts_ascii(void **state)
{
    check_length_bounds("a");
}

static void length_counts_what_people_see(void **state)
{
    check_length_bounds(GRIN);
    check_length_bounds(E_ACUTE);
    check_length_bounds(FLAG);
    check_length_bounds(THUMB_DARK);
}

/* 14 families are 252 bytes, so the upper bound cannot be reached with them. */
static void a_family_is_one_character(void **state)
{
    assert_null(updated(repeated(FAMILY, 2)));
    assert_non_null(updated(repeated(FAMILY, 3)));
    assert_non_null(updated(repeated(FAMILY, 14)));
}

static void the_limit_is_a_setting(void **state)
{
    struct nickname_rules rules = {.min_length = 3, .max_length = 20};

    assert_non_null(stored(tk_slice_str("12345678901234567890"), &rules));
    assert_null(stored(tk_slice_str("123456789012345678901"), &rules));
    assert_string_equal(last_problem.text, "nickname: length must be between 3 and 20 characters.");
}

/* H47: bytes are counted after trimming. */
static void bytes_are_capped(void **state)
{
    struct nickname_rules rules = {.max_length = 255};

    assert_non_null(stored(tk_slice_str(repeated("a", 255)), &rules));
    assert_null(stored(tk_slice_str(repeated("a", 256)), &rules));
    assert_string_equal(last_problem.text, "nickname: must not be longer than 255 bytes.");
    char padded[300];
    snprintf(padded, sizeof(padded), "  %s  ", repeated("a", 255));
    assert_non_null(stored(tk_slice_str(padded), &rules));
}

/* H47 */
static void marks_in_a_row_are_limited(void **state)
{
    char text[64];

    snprintf(text, sizeof(text), "bo%s", repeated("\xCC\x81", 4));
    assert_non_null(created(text));
    snprintf(text, sizeof(text), "bo%s", repeated("\xCC\x81", 5));
    assert_null(created(text));
    snprintf(text, sizeof(text), "b%so%s", "\xCC\x81\xCC\x82\xCC\x83\xCC\x84",
             "\xCC\x81\xCC\x82\xCC\x83\xCC\x84");
    assert_non_null(created(text));
    snprintf(text, sizeof(text), "bo%s", repeated("\xE2\x83\x9D", 5)); /* enclosing circles */
    assert_null(created(text));
}

struct code_point {
    const char *name;
    const char *bytes;
    size_t len;
};
#define CODE_POINT(name, bytes)                                                                    \
    {                                                                                              \
        name, bytes, sizeof(bytes) - 1                                                             \
    }

/* c, "abc", c */
static struct tk_slice around_abc(const struct code_point *c, char *out)
{
    memcpy(out, c->bytes, c->len);
    memcpy(out + c->len, "abc", 3);
    memcpy(out + c->len + 3, c->bytes, c->len);
    return tk_slice(out, 2 * c->len + 3);
}

/* H45, the whole property. */
static void white_space_is_trimmed(void **state)
{
    static const struct code_point blanks[] = {
        CODE_POINT("U+0009", "\t"),           CODE_POINT("U+000A", "\n"),
        CODE_POINT("U+000B", "\v"),           CODE_POINT("U+000C", "\f"),
        CODE_POINT("U+000D", "\r"),           CODE_POINT("U+0020", " "),
        CODE_POINT("U+0085", "\xC2\x85"),     CODE_POINT("U+00A0", "\xC2\xA0"),
        CODE_POINT("U+1680", "\xE1\x9A\x80"), CODE_POINT("U+2000", "\xE2\x80\x80"),
        CODE_POINT("U+2001", "\xE2\x80\x81"), CODE_POINT("U+2002", "\xE2\x80\x82"),
        CODE_POINT("U+2003", "\xE2\x80\x83"), CODE_POINT("U+2004", "\xE2\x80\x84"),
        CODE_POINT("U+2005", "\xE2\x80\x85"), CODE_POINT("U+2006", "\xE2\x80\x86"),
        CODE_POINT("U+2007", "\xE2\x80\x87"), CODE_POINT("U+2008", "\xE2\x80\x88"),
        CODE_POINT("U+2009", "\xE2\x80\x89"), CODE_POINT("U+200A", "\xE2\x80\x8A"),
        CODE_POINT("U+2028", "\xE2\x80\xA8"), CODE_POINT("U+2029", "\xE2\x80\xA9"),
        CODE_POINT("U+202F", "\xE2\x80\xAF"), CODE_POINT("U+205F", "\xE2\x81\x9F"),
        CODE_POINT("U+3000", "\xE3\x80\x80"),
    };
    char text[16];

    for (size_t i = 0; i < TK_ARRAY_LEN(blanks); i++) {
        const char *result = stored(around_abc(&blanks[i], text), &update_rules);
        if (result == NULL || strcmp(result, "abc") != 0)
            fail_msg("%s was not trimmed", blanks[i].name);
    }
}

/* H45: no white space, however blank they look. */
static void look_alikes_are_kept(void **state)
{
    static const struct code_point kept[] = {
        CODE_POINT("U+200B", "\xE2\x80\x8B"),
        CODE_POINT("U+180E", "\xE1\xA0\x8E"),
        CODE_POINT("U+FEFF", "\xEF\xBB\xBF"),
    };
    static const struct code_point refused[] = {
        CODE_POINT("U+001F", "\x1F"),
        CODE_POINT("U+0000", "\0"),
    };
    char text[16];

    for (size_t i = 0; i < TK_ARRAY_LEN(kept); i++) {
        struct tk_slice raw = around_abc(&kept[i], text);
        const char *result = stored(raw, &update_rules);
        if (result == NULL || !tk_slice_eq_str(raw, result))
            fail_msg("%s was not kept", kept[i].name);
    }
    for (size_t i = 0; i < TK_ARRAY_LEN(refused); i++) {
        if (stored(around_abc(&refused[i], text), &update_rules) != NULL)
            fail_msg("%s was not refused", refused[i].name);
    }
}

static void inner_blanks_stay(void **state)
{
    assert_string_equal(updated(" a  b\xE3\x80\x80"
                                "c "),
                        "a  b\xE3\x80\x80"
                        "c");
}

/* H48, and D5: no minimum on create. */
static void nothing_left_means_no_name(void **state)
{
    assert_string_equal(updated(""), "");
    assert_string_equal(updated(" \t\xE3\x80\x80 "), "");
    assert_string_equal(created("\n"), "");
    assert_string_equal(created("x"), "x");
}

/* H50: the edges of every forbidden range, inside a name. */
static void controls_and_overrides_are_refused(void **state)
{
    static const struct code_point refused[] = {
        CODE_POINT("U+0000", "\0"),           CODE_POINT("U+0001", "\x01"),
        CODE_POINT("U+0008", "\b"),           CODE_POINT("U+000A", "\n"),
        CODE_POINT("U+001F", "\x1F"),         CODE_POINT("U+007F", "\x7F"),
        CODE_POINT("U+0080", "\xC2\x80"),     CODE_POINT("U+009F", "\xC2\x9F"),
        CODE_POINT("U+202A", "\xE2\x80\xAA"), CODE_POINT("U+202E", "\xE2\x80\xAE"),
        CODE_POINT("U+2066", "\xE2\x81\xA6"), CODE_POINT("U+2069", "\xE2\x81\xA9"),
        CODE_POINT("U+FFFD", "\xEF\xBF\xBD"),
    };
    static const struct code_point allowed[] = {
        CODE_POINT("U+0020", " "),
        CODE_POINT("U+007E", "~"),
        CODE_POINT("U+00A0", "\xC2\xA0"),
        CODE_POINT("U+2029", "\xE2\x80\xA9"),
        CODE_POINT("U+202F", "\xE2\x80\xAF"),
        CODE_POINT("U+2065", "\xE2\x81\xA5"),
        CODE_POINT("U+206A", "\xE2\x81\xAA"),
        CODE_POINT("U+FFFC", "\xEF\xBF\xBC"),
    };
    char text[16];

    for (size_t i = 0; i < TK_ARRAY_LEN(refused); i++) {
        int len = snprintf(text, sizeof(text), "ab");
        memcpy(text + len, refused[i].bytes, refused[i].len);
        memcpy(text + len + refused[i].len, "cd", 2);
        if (stored(tk_slice(text, 4 + refused[i].len), &update_rules) != NULL)
            fail_msg("%s was not refused", refused[i].name);
        assert_string_equal(last_problem.text,
                            "nickname: contains a character that is not allowed.");
    }
    for (size_t i = 0; i < TK_ARRAY_LEN(allowed); i++) {
        snprintf(text, sizeof(text), "ab%scd", allowed[i].bytes);
        if (updated(text) == NULL)
            fail_msg("%s was refused", allowed[i].name);
    }
}

/* H50 */
static void a_name_must_show_something(void **state)
{
    assert_null(updated("\xE2\x80\x8B\xE2\x80\x8B\xE2\x80\x8B")); /* zero width spaces */
    assert_null(updated("\xC2\xAD\xC2\xAD\xC2\xAD"));             /* soft hyphens */
    assert_null(updated("\xE3\x85\xA4\xE3\x85\xA4\xE3\x85\xA4")); /* Hangul fillers */
    assert_null(updated("\xE2\x80\x8B \xE2\x80\x8B"));
    assert_string_equal(last_problem.text, "nickname: must contain a visible character.");
    assert_non_null(updated("\xE2\x80\x8B"
                            "ab"));
}

/* H58: stored as sent; markup is just text (H100). */
static void text_is_not_changed(void **state)
{
    assert_string_equal(updated("ae\xCC\x81"
                                "b"),
                        "ae\xCC\x81"
                        "b");
    assert_string_equal(updated("<b>&\"'/"), "<b>&\"'/");
}

/* H6: a client that pastes `a\b` into JSON sends U+0008. */
static void a_pasted_backspace_is_refused(void **state)
{
    assert_null(updated("aaa\b"));
}

/* The names that the real client generates; the longest has 21 characters (D1). */
static void generated_names_pass(void **state)
{
    static const char *const names[] = {"Confident_Mion_Family", "Calm_Takodachi", "Sad_35P",
                                        "Wild_Lu_Knight", "Crazy_KFP"};

    for (size_t i = 0; i < TK_ARRAY_LEN(names); i++)
        assert_string_equal(created(names[i]), names[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(length_counts_ascii),
        cmocka_unit_test(length_counts_what_people_see),
        cmocka_unit_test(a_family_is_one_character),
        cmocka_unit_test(the_limit_is_a_setting),
        cmocka_unit_test(bytes_are_capped),
        cmocka_unit_test(marks_in_a_row_are_limited),
        cmocka_unit_test(white_space_is_trimmed),
        cmocka_unit_test(look_alikes_are_kept),
        cmocka_unit_test(inner_blanks_stay),
        cmocka_unit_test(nothing_left_means_no_name),
        cmocka_unit_test(controls_and_overrides_are_refused),
        cmocka_unit_test(a_name_must_show_something),
        cmocka_unit_test(text_is_not_changed),
        cmocka_unit_test(a_pasted_backspace_is_refused),
        cmocka_unit_test(generated_names_pass),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
