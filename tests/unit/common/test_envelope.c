/* SPDX-License-Identifier: MIT */
/* What travels over Redis: written, read back, and read when somebody hostile wrote it (C174). */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/envelope.h"
#include "common/tk_json.h"

static struct tk_uuid uuid(void)
{
    struct tk_uuid id;

    assert_int_equal(tk_uuid_parse(TK_SLICE("681a6b2e-9f00-4abc-800d-0123456789ab"), &id), TK_OK);
    return id;
}

static void a_publish_has_the_layout_of_a_v2_frame(void **state)
{
    struct tk_buf out = {0};

    tk_envelope_write(&out, NULL, NULL, TK_SLICE("notifications"), TK_SLICE("shout"),
                      TK_SLICE("{\"hello\":\"all\"}"));
    assert_string_equal(tk_buf_str(&out),
                        "[null,null,\"notifications\",\"shout\",{\"hello\":\"all\"}]");
    tk_buf_clear(&out);
    tk_envelope_write(&out, "node-1", "42", TK_SLICE("t"), TK_SLICE("e"), TK_SLICE("{}"));
    assert_string_equal(tk_buf_str(&out), "[\"node-1\",\"42\",\"t\",\"e\",{}]");
    tk_buf_fini(&out);
}

static void names_survive_the_way_through_json(void **state)
{
    static const struct tk_json_rules rules = {.max_depth = 64};
    struct tk_slice topic = TK_SLICE("room:\"\\\n\0\xE2\x82\xAC"), event = TK_SLICE("],[\"x");
    struct tk_json_value items[5];
    struct tk_buf out = {0}, scratch = {0};
    size_t count;

    tk_envelope_write(&out, "a\"b", NULL, topic, event, TK_SLICE("{\"a\":1e5}"));
    assert_int_equal(tk_json_scan_array(tk_buf_slice(&out), &rules, items, 5, &count), TK_OK);
    assert_int_equal(count, 5);
    tk_buf_reserve(&scratch, out.len);
    assert_true(tk_slice_eq_str(tk_json_string_text(&items[0], &scratch), "a\"b"));
    assert_int_equal(items[1].type, TK_JSON_NULL);
    assert_true(tk_slice_eq(tk_json_string_text(&items[2], &scratch), topic));
    assert_true(tk_slice_eq(tk_json_string_text(&items[3], &scratch), event));
    assert_true(tk_slice_eq_str(items[4].raw, "{\"a\":1e5}"));
    tk_buf_fini(&out);
    tk_buf_fini(&scratch);
}

/* The client push of C36, origin and id in the places of join_ref and ref. */
static void a_binary_publish_is_a_v2_binary_push(void **state)
{
    struct tk_buf out = {0};
    struct tk_slice expected = TK_SLICE("\x00\x01\x01\x0d\x03"
                                        "37notificationsbin\x01\x02\x03");

    tk_envelope_write_binary(&out, "3", "7", TK_SLICE("notifications"), TK_SLICE("bin"),
                             TK_SLICE("\x01\x02\x03"));
    assert_true(tk_slice_eq(tk_buf_slice(&out), expected));
    tk_buf_clear(&out);
    tk_envelope_write_binary(&out, NULL, NULL, TK_SLICE("t"), TK_SLICE("e"), TK_SLICE(""));
    assert_true(tk_slice_eq(tk_buf_slice(&out), TK_SLICE("\0\0\0\1\1te"))); /* C37 */
    tk_buf_fini(&out);
}

static void expect_written(const struct tk_user_event *event, const char *expected)
{
    struct tk_buf out = {0};

    tk_user_event_write(&out, event);
    assert_string_equal(tk_buf_str(&out), expected);
    tk_buf_fini(&out);
}

static void user_events_are_written(void **state)
{
    struct tk_user_event event = {.kind = TK_USER_CREATED, .id = uuid()};

#define ID "\"id\":\"681a6b2e-9f00-4abc-800d-0123456789ab\""
    expect_written(&event, "{\"event\":\"created\"," ID ",\"nickname\":null,"
                           "\"stamps_collected\":null}");
    event.kind = TK_USER_UPDATED;
    event.nickname = TK_SLICE("a\"b");
    event.has_stamps = true;
    event.stamps_collected = -7;
    expect_written(&event, "{\"event\":\"updated\"," ID ",\"nickname\":\"a\\\"b\","
                           "\"stamps_collected\":-7}");
    event.kind = TK_USER_DELETED;
    expect_written(&event, "{\"event\":\"deleted\"," ID "}");
    event.kind = TK_USER_DISCONNECT;
    expect_written(&event, "{\"event\":\"disconnect\"," ID "}");
}

static void user_events_survive_a_round_trip(void **state)
{
    static const int64_t stamps[] = {0, 1, -1, INT64_MAX, INT64_MIN};

    for (int kind = TK_USER_CREATED; kind <= TK_USER_UPDATED; kind++) {
        for (size_t i = 0; i < TK_ARRAY_LEN(stamps); i++) {
            struct tk_user_event event = {(enum tk_user_event_kind)kind, uuid(),
                                          TK_SLICE("n\n\0\"\xE2\x82\xAC"), true, stamps[i]};
            struct tk_user_event back;
            struct tk_buf out = {0}, scratch = {0};

            tk_user_event_write(&out, &event);
            assert_int_equal(tk_user_event_parse(tk_buf_slice(&out), &scratch, &back), TK_OK);
            assert_int_equal(back.kind, kind);
            assert_true(tk_uuid_eq(&back.id, &event.id));
            assert_true(tk_slice_eq(back.nickname, event.nickname));
            assert_true(back.has_stamps);
            assert_true(back.stamps_collected == stamps[i]);
            tk_buf_fini(&out);
            tk_buf_fini(&scratch);
        }
    }
}

static struct tk_user_event parse(const char *text)
{
    struct tk_user_event event;
    struct tk_buf scratch = {0};

    if (tk_user_event_parse(tk_slice_str(text), &scratch, &event))
        fail_msg("refused: %s", text);
    tk_buf_fini(&scratch);
    return event;
}

static void absent_and_null_members_are_null(void **state)
{
    struct tk_user_event event = parse("{\"event\":\"created\"," ID "}");

    assert_null(event.nickname.ptr);
    assert_false(event.has_stamps);
    event = parse("{\"event\":\"updated\"," ID ",\"nickname\":null,\"stamps_collected\":null}");
    assert_null(event.nickname.ptr);
    assert_false(event.has_stamps);
    event = parse("{\"event\":\"updated\"," ID ",\"nickname\":\"\"}");
    assert_non_null(event.nickname.ptr);
    assert_int_equal(event.nickname.len, 0);
}

/* Others may write more than we do, in any order and spelling that JSON allows. */
static void what_is_unknown_is_ignored(void **state)
{
    struct tk_user_event event =
        parse(" {\"x\":[{}], \"\\u0069d\":\"681A6B2E-9f00-4abc-800d-0123456789ab\","
              "\"nickname\":{\"not\":\"looked at\"},\"event\":\"d\\u0065leted\"} ");
    struct tk_uuid id = uuid();

    assert_int_equal(event.kind, TK_USER_DELETED);
    assert_true(tk_uuid_eq(&event.id, &id));
    assert_null(event.nickname.ptr);
}

static void refuse(struct tk_slice text, enum tk_err expected)
{
    struct tk_user_event event = {.stamps_collected = 77};
    struct tk_buf scratch = {0};

    if (tk_user_event_parse(text, &scratch, &event) != expected)
        fail_msg("not %s: %.*s", tk_strerror(expected), (int)text.len, text.ptr);
    assert_int_equal(event.stamps_collected, 77);
    tk_buf_fini(&scratch);
}

static void hostile_user_events_are_refused(void **state)
{
    refuse(tk_slice(NULL, 0), TK_ESYNTAX);
    refuse(TK_SLICE("\xff\xfe\x00"), TK_ESYNTAX);
    refuse(TK_SLICE("{\"event\":\"deleted\"," ID), TK_ESYNTAX);
    refuse(TK_SLICE("{\"event\":\"deleted\"," ID "}x"), TK_ESYNTAX);
    refuse(TK_SLICE("{\"event\":\"created\"," ID ",\"nickname\":\"\\ud800\"}"), TK_ESYNTAX);
    refuse(TK_SLICE("[]"), TK_EINVAL);
    refuse(TK_SLICE("null"), TK_EINVAL);
    refuse(TK_SLICE("{}"), TK_EINVAL);
    refuse(TK_SLICE("{" ID "}"), TK_EINVAL);
    refuse(TK_SLICE("{\"event\":\"deleted\"}"), TK_EINVAL);
    refuse(TK_SLICE("{\"event\":\"deleted\",\"id\":null}"), TK_EINVAL);
    refuse(TK_SLICE("{\"event\":\"deleted\",\"id\":\"681a6b2e\"}"), TK_EINVAL);
    refuse(TK_SLICE("{\"event\":\"exploded\"," ID "}"), TK_EINVAL);
    refuse(TK_SLICE("{\"event\":\"\"," ID "}"), TK_EINVAL);
    refuse(TK_SLICE("{\"event\":1," ID "}"), TK_EINVAL);
    refuse(TK_SLICE("{\"event\":\"updated\"," ID ",\"nickname\":1}"), TK_EINVAL);
    refuse(TK_SLICE("{\"event\":\"updated\"," ID ",\"nickname\":[]}"), TK_EINVAL);
}

static void stamps_are_whole_numbers_that_fit(void **state)
{
    static const char *const numbers[] = {"9223372036854775808",
                                          "-9223372036854775809",
                                          "1.0",
                                          "1e3",
                                          "\"1\"",
                                          "true",
                                          "{}",
                                          "100000000000000000000000000000000000000000000000"};
    struct tk_buf text = {0};

    for (size_t i = 0; i < TK_ARRAY_LEN(numbers); i++) {
        tk_buf_clear(&text);
        tk_buf_appendf(&text, "{\"event\":\"updated\"," ID ",\"stamps_collected\":%s}", numbers[i]);
        refuse(tk_buf_slice(&text), TK_EINVAL);
    }
    tk_buf_fini(&text);
}

static void depth_and_size_are_bounded(void **state)
{
    struct tk_buf text = {0};

    tk_buf_append_str(&text, "{\"x\":");
    for (int i = 0; i < 1000; i++)
        tk_buf_append_char(&text, '[');
    refuse(tk_buf_slice(&text), TK_EINVAL);

    tk_buf_clear(&text);
    tk_buf_append_str(&text, "{\"event\":\"deleted\"," ID "}");
    while (text.len < TK_USER_EVENT_MAX)
        tk_buf_append_char(&text, ' ');
    struct tk_user_event event;
    struct tk_buf scratch = {0};
    assert_int_equal(tk_user_event_parse(tk_buf_slice(&text), &scratch, &event), TK_OK);
    tk_buf_append_char(&text, ' ');
    refuse(tk_buf_slice(&text), TK_EINVAL);
    tk_buf_fini(&scratch);
    tk_buf_fini(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_publish_has_the_layout_of_a_v2_frame),
        cmocka_unit_test(names_survive_the_way_through_json),
        cmocka_unit_test(a_binary_publish_is_a_v2_binary_push),
        cmocka_unit_test(user_events_are_written),
        cmocka_unit_test(user_events_survive_a_round_trip),
        cmocka_unit_test(absent_and_null_members_are_null),
        cmocka_unit_test(what_is_unknown_is_ignored),
        cmocka_unit_test(hostile_user_events_are_refused),
        cmocka_unit_test(stamps_are_whole_numbers_that_fit),
        cmocka_unit_test(depth_and_size_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
