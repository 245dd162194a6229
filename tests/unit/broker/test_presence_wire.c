/* SPDX-License-Identifier: MIT */
/* Presence as text in Redis: what is written is read again, and nothing else is (C174). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "broker/presence/presence_wire.h"

#define REF "AAAAAAAAAAAAAAA1"

static void an_entry_is_read_as_it_was_written(void **state)
{
    struct tk_buf out = {0};
    struct presence_record read;
    uint64_t stamp;
    const struct presence_record record = {.ref = TK_SLICE(REF),
                                           .key = TK_SLICE("key"),
                                           .meta = TK_SLICE("{\"a\":[1,{}]}"),
                                           .at_ms = 1795345981123,
                                           .is_kept = true};
    (void)state;
    presence_wire_entry(&out, 42, &record);
    assert_string_equal(tk_buf_str(&out),
                        "[42,\"" REF "\",\"key\",1795345981123,1,{\"a\":[1,{}]}]");
    assert_int_equal(presence_wire_parse_entry(tk_buf_slice(&out), &stamp, &read), TK_OK);
    assert_int_equal(stamp, 42);
    assert_true(tk_slice_eq(read.ref, record.ref) && tk_slice_eq(read.key, record.key));
    assert_true(tk_slice_eq(read.meta, record.meta) && read.is_kept);
    assert_int_equal(read.at_ms, record.at_ms);
    tk_buf_fini(&out);
}

static void c174_no_other_entry_is_read(void **state)
{
    static const char *const bad[] = {
        "",
        "[]",
        "{}",
        "[1,\"" REF "\",\"key\",1,0]",
        "[1,\"" REF "\",\"key\",1,0,[]]",
        "[1,\"" REF "\",\"key\",1,0,{}",
        "[-1,\"" REF "\",\"key\",1,0,{}]",
        "[1.0,\"" REF "\",\"key\",1,0,{}]",
        "[1,\"short\",\"key\",1,0,{}]",
        "[1,\"AAAAAAAAAAAAAAA\\u0031\",\"key\",1,0,{}]",
        "[1,\"" REF "\",\"__proto__\",1,0,{}]",
        "[1,\"" REF "\",\"a\\\"b\",1,0,{}]",
        "[1,\"" REF "\",\"key\",9999999999999999999,0,{}]",
        "[1,\"" REF "\",\"key\",1,true,{}]",
        "[1,\"" REF "\",\"key\",1,0,{\"a\":\"\\ud800\"}]",
        NULL,
    };
    struct presence_record read;
    uint64_t stamp;
    (void)state;
    for (const char *const *text = bad; *text; text++)
        if (presence_wire_parse_entry(tk_slice_str(*text), &stamp, &read) == TK_OK)
            fail_msg("was read: %s", *text);
}

static void a_delta_is_read_as_it_was_written(void **state)
{
    static struct presence_delta delta;
    struct tk_buf out = {0};
    const struct tk_slice entries[] = {TK_SLICE_INIT("[7,\"" REF "\",\"k\",1,0,{}]")};
    const struct tk_slice leaves[] = {TK_SLICE_INIT("BBBBBBBBBBBBBBB1"),
                                      TK_SLICE_INIT("BBBBBBBBBBBBBBB2")};
    (void)state;
    presence_wire_delta(&out, TK_SLICE("no\"de/0@1"), 6, 7, entries, 1, leaves, 2);
    assert_int_equal(presence_wire_parse_delta(tk_buf_slice(&out), &delta), TK_OK);
    assert_true(tk_slice_eq_str(delta.node, "no\"de/0@1"));
    assert_int_equal(delta.prev, 6);
    assert_int_equal(delta.seq, 7);
    assert_int_equal(delta.join_count, 1);
    assert_int_equal(delta.stamps[0], 7);
    assert_int_equal(delta.leave_count, 2);
    assert_true(tk_slice_eq(delta.leaves[1], leaves[1]));
    tk_buf_fini(&out);
    tk_buf_fini(&delta.scratch);
}

static void c174_no_other_delta_is_read(void **state)
{
    static struct presence_delta delta;
    static const char *const bad[] = {
        "",
        "junk",
        "[\"n\",0,1,[]]",
        "[5,0,1,[],[]]",
        "[\"n\",0,0,[],[]]",
        "[\"n\",2,1,[],[]]",
        "[\"n\",0,1,{},[]]",
        "[\"n\",0,1,[[1]],[]]",
        "[\"n\",0,1,[],[\"short\"]]",
        "[\"n\",0,1,[],[5]]",
        NULL,
    };
    struct tk_buf many = {0};
    (void)state;
    for (const char *const *text = bad; *text; text++)
        if (presence_wire_parse_delta(tk_slice_str(*text), &delta) == TK_OK)
            fail_msg("was read: %s", *text);
    tk_buf_append_str(&many, "[\"n\",0,1,[],[\"" REF "\"");
    for (int i = 0; i < PRESENCE_DELTA_MAX; i++)
        tk_buf_append_str(&many, ",\"" REF "\"");
    tk_buf_append_str(&many, "]]");
    assert_int_not_equal(presence_wire_parse_delta(tk_buf_slice(&many), &delta), TK_OK);
    tk_buf_fini(&many);
    tk_buf_fini(&delta.scratch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_entry_is_read_as_it_was_written),
        cmocka_unit_test(c174_no_other_entry_is_read),
        cmocka_unit_test(a_delta_is_read_as_it_was_written),
        cmocka_unit_test(c174_no_other_delta_is_read),
    };
    return cmocka_run_group_tests_name("presence_wire", tests, NULL, NULL);
}
