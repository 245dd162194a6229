/* SPDX-License-Identifier: MIT */
/* What a client may say of itself, and what is the server's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "broker/presence/presence_meta.h"

#define MAX 100

static void takes_at(const char *object, const char *expected, int line)
{
    struct tk_buf out = {0};
    tk_buf_append_str(&out, "before ");
    if (presence_meta_take(tk_slice_str(object), MAX, &out) != TK_OK)
        fail_msg("line %d: refused: %s", line, object);
    assert_string_equal(tk_buf_str(&out) + strlen("before "), expected);
    tk_buf_fini(&out);
}
#define takes(object, expected) takes_at(object, expected, __LINE__)

static void refuses_at(const char *object, enum tk_err why, int line)
{
    struct tk_buf out = {0};
    tk_buf_append_str(&out, "before");
    if (presence_meta_take(tk_slice_str(object), MAX, &out) != why)
        fail_msg("line %d: not refused as it should be: %s", line, object);
    assert_string_equal(tk_buf_str(&out), "before");
    tk_buf_fini(&out);
}
#define refuses(object, why) refuses_at(object, why, __LINE__)

static void c29_members_stay_as_they_were_sent(void **state)
{
    (void)state;
    takes("{}", "");
    takes("  { }  ", "");
    takes("{\"a\":1}", "\"a\":1");
    takes(" { \"a\" : 12345678901234567890 , \"b\" : 1.50e3 } ",
          "\"a\":12345678901234567890,\"b\":1.50e3");
    takes("{\"a\":{\"x\":[1,{\"}\":\"]\"}]},\"b\":\"\\\"}\\\\\"}",
          "\"a\":{\"x\":[1,{\"}\":\"]\"}]},\"b\":\"\\\"}\\\\\"");
    takes("{\"a\":[\n1,\t2\r\n]}", "\"a\":[ 1, 2  ]");
    takes("{\"\":true,\"n\":null}", "\"\":true,\"n\":null");
}

static void c102_what_the_server_says_is_left_out(void **state)
{
    (void)state;
    takes("{\"phx_ref\":\"forged\"}", "");
    takes("{\"a\":1,\"phx_ref_prev\":[{}],\"b\":2}", "\"a\":1,\"b\":2");
    takes("{\"phx\\u005fref\":\"x\",\"nickname\":{},\"online_at\":0,\"c\":3}", "\"c\":3");
    takes("{\"mine\":{\"phx_ref\":\"x\"}}", "\"mine\":{\"phx_ref\":\"x\"}");
}

static void c103_names_of_the_prototype_are_refused(void **state)
{
    (void)state;
    refuses("{\"__proto__\":{}}", TK_EINVAL);
    refuses("{\"a\":1,\"constructor\":1}", TK_EINVAL);
    refuses("{\"to\\u0053tring\":1}", TK_EINVAL);
    assert_false(presence_key_is_valid(TK_SLICE("constructor")));
    assert_false(presence_key_is_valid(TK_SLICE("__proto__")));
    assert_false(presence_key_is_valid(TK_SLICE("")));
    assert_false(presence_key_is_valid(TK_SLICE("a b")));
    assert_false(presence_key_is_valid(TK_SLICE("a\"b")));
    assert_true(presence_key_is_valid(TK_SLICE("7Zk0_-abcdefghijklmnop")));
    char key[PRESENCE_KEY_MAX + 1];
    memset(key, 'k', sizeof(key));
    assert_true(presence_key_is_valid(tk_slice(key, PRESENCE_KEY_MAX)));
    assert_false(presence_key_is_valid(tk_slice(key, PRESENCE_KEY_MAX + 1)));
}

static void c105_only_small_objects_are_metas(void **state)
{
    (void)state;
    refuses("", TK_EINVAL);
    refuses("null", TK_EINVAL);
    refuses("[1]", TK_EINVAL);
    refuses("{\"a\":1}x", TK_EINVAL);
    refuses("{\"a\":\"\\ud800\"}", TK_EINVAL);
    refuses("{\"a\":\"\xff\"}", TK_EINVAL);
    refuses("{\"a\":\"0123456789012345678901234567890123456789012345678901234567890123456789012345"
            "678901234567890123456789\"}",
            TK_ELIMIT);
}

static void c100_refs_are_never_the_same(void **state)
{
    enum { MANY = 1000 };
    struct presence_refs refs[2];
    char text[2 * MANY][PRESENCE_REF_LEN + 1];
    (void)state;
    presence_refs_init(&refs[0]);
    presence_refs_init(&refs[1]);
    for (int i = 0; i < 2 * MANY; i++) {
        presence_refs_next(&refs[i % 2], text[i]);
        assert_true(presence_ref_is_valid(tk_slice_str(text[i])));
        for (int j = 0; j < i; j++)
            assert_string_not_equal(text[i], text[j]);
    }
    assert_false(presence_ref_is_valid(TK_SLICE("short")));
    assert_false(presence_ref_is_valid(TK_SLICE("AAAAAAAAAAAAAAA\"")));
}

static void c101_metas_are_written_whole(void **state)
{
    struct tk_buf out = {0};
    struct presence_meta meta = {.ref = TK_SLICE("R"), .online_at = 7};
    (void)state;
    presence_meta_write(&out, &meta);
    assert_string_equal(tk_buf_str(&out), "{\"phx_ref\":\"R\",\"nickname\":null,\"online_at\":7}");
    tk_buf_clear(&out);
    meta.ref_prev = TK_SLICE("P");
    meta.nickname = TK_SLICE("a\"\n");
    meta.client = TK_SLICE("\"x\":1");
    presence_meta_write(&out, &meta);
    assert_string_equal(tk_buf_str(&out), "{\"phx_ref\":\"R\",\"phx_ref_prev\":\"P\",\"nickname\":"
                                          "\"a\\\"\\n\",\"online_at\":7,\"x\":1}");
    tk_buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(c29_members_stay_as_they_were_sent),
        cmocka_unit_test(c102_what_the_server_says_is_left_out),
        cmocka_unit_test(c103_names_of_the_prototype_are_refused),
        cmocka_unit_test(c105_only_small_objects_are_metas),
        cmocka_unit_test(c100_refs_are_never_the_same),
        cmocka_unit_test(c101_metas_are_written_whole),
    };
    return cmocka_run_group_tests_name("presence_meta", tests, NULL, NULL);
}
