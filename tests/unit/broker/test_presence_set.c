/* SPDX-License-Identifier: MIT */
/* One topic's presences: what members are told, in which order, and what they are not told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "broker/presence/presence_set.h"

static struct presence_set set;
static struct presence_origin here, there;

static int setup(void **state)
{
    (void)state;
    presence_set_init(&set);
    here = there = (struct presence_origin){.is_visible = true};
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    presence_set_fini(&set);
    return 0;
}

/* Entry n of a key; its meta is n. */
static struct presence_entry *add(struct presence_origin *origin, const char *key, int n,
                                  uint64_t at_ms, bool is_kept)
{
    char ref[PRESENCE_REF_LEN + 1], meta[16];
    snprintf(ref, sizeof(ref), "AAAAAAAAAAAAA%03d", n);
    snprintf(meta, sizeof(meta), "{%d}", n);
    return presence_set_add(&set, origin,
                            &(struct presence_record){
                                .ref = tk_slice_str(ref),
                                .key = tk_slice_str(key),
                                .meta = tk_slice_str(meta),
                                .at_ms = at_ms,
                                .is_kept = is_kept,
                            });
}

static void expect_state(const char *expected)
{
    struct tk_buf out = {0};
    presence_set_write_state(&set, &out);
    assert_string_equal(tk_buf_str(&out), expected);
    tk_buf_fini(&out);
}

static void expect_diff(const char *expected)
{
    struct tk_buf out = {0};
    assert_int_equal(presence_set_flush(&set, &out), expected != NULL);
    assert_string_equal(tk_buf_str(&out), expected ? expected : "");
    tk_buf_fini(&out);
}

#define DIFF(joins, leaves) "{\"joins\":{" joins "},\"leaves\":{" leaves "}}"

/* C130: a wall clock that was set back changes the order of metas, and nothing else. */
static void c104_metas_are_in_the_order_of_their_times(void **state)
{
    (void)state;
    add(&here, "k", 2, 2000, false);
    add(&there, "k", 1, 1000, false);
    add(&here, "k", 3, 3000, false);
    add(&here, "other", 4, 1, false);
    expect_diff(DIFF("\"k\":{\"metas\":[{1},{2},{3}]},\"other\":{\"metas\":[{4}]}", ""));
    expect_state("{\"k\":{\"metas\":[{1},{2},{3}]},\"other\":{\"metas\":[{4}]}}");
    assert_int_equal(set.shown_keys, 2);
    assert_int_equal(presence_set_count(&set, TK_SLICE("k")), 3);
}

static void c108_the_state_is_what_was_told_last(void **state)
{
    (void)state;
    struct presence_entry *e = add(&here, "k", 1, 1, false);
    expect_state("{}");
    expect_diff(DIFF("\"k\":{\"metas\":[{1}]}", ""));
    presence_set_remove(&set, e);
    expect_state("{\"k\":{\"metas\":[{1}]}}");
    expect_diff(DIFF("", "\"k\":{\"metas\":[{1}]}"));
    expect_state("{}");
}

static void c116_what_came_and_went_is_not_told(void **state)
{
    (void)state;
    presence_set_remove(&set, add(&here, "k", 1, 1, false));
    expect_diff(NULL);
    struct presence_entry *first = add(&here, "k", 1, 1, false);
    presence_set_flush(&set, NULL);
    struct presence_entry *second = add(&here, "k", 2, 2, false);
    presence_set_remove(&set, first);
    add(&here, "k", 3, 3, false);
    presence_set_remove(&set, second);
    expect_diff(DIFF("\"k\":{\"metas\":[{3}]}", "\"k\":{\"metas\":[{1}]}"));
    expect_diff(NULL);
}

/* C127: a node that was given up too early brings the same ref before its leave was told. */
static void a_ref_that_comes_back_at_once_has_never_left(void **state)
{
    (void)state;
    struct presence_entry *e = add(&here, "k", 1, 1, false);
    presence_set_flush(&set, NULL);
    presence_set_remove(&set, e);
    add(&there, "k", 1, 1, false);
    expect_diff(NULL);
    expect_state("{\"k\":{\"metas\":[{1}]}}");
}

static void c129_a_kept_entry_gives_way_to_a_new_one(void **state)
{
    (void)state;
    struct presence_entry *old = add(&here, "k", 1, 1, false);
    presence_set_flush(&set, NULL);
    presence_set_keep(&set, old);
    expect_diff(NULL);
    struct presence_entry *back = add(&there, "k", 2, 2, false);
    expect_diff(DIFF("\"k\":{\"metas\":[{2}]}", "\"k\":{\"metas\":[{1}]}"));
    presence_set_remove_origin(&set, &here);
    expect_diff(NULL);
    presence_set_remove(&set, back);
    expect_diff(DIFF("", "\"k\":{\"metas\":[{2}]}"));
}

static void c126_an_origin_that_is_hidden_leaves_as_a_whole(void **state)
{
    (void)state;
    add(&here, "a", 1, 1, false);
    add(&there, "b", 2, 1, false);
    add(&there, "c", 3, 1, false);
    presence_set_flush(&set, NULL);
    presence_set_show_origin(&set, &there, false);
    expect_diff(DIFF("", "\"b\":{\"metas\":[{2}]},\"c\":{\"metas\":[{3}]}"));
    presence_set_show_origin(&set, &there, true);
    expect_diff(DIFF("\"b\":{\"metas\":[{2}]},\"c\":{\"metas\":[{3}]}", ""));
    presence_set_remove_origin(&set, &there);
    presence_set_flush(&set, NULL);
    expect_state("{\"a\":{\"metas\":[{1}]}}");
    assert_null(presence_set_find(&set, TK_SLICE("AAAAAAAAAAAAA002")));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(c104_metas_are_in_the_order_of_their_times),
        TEST(c108_the_state_is_what_was_told_last),
        TEST(c116_what_came_and_went_is_not_told),
        TEST(a_ref_that_comes_back_at_once_has_never_left),
        TEST(c129_a_kept_entry_gives_way_to_a_new_one),
        TEST(c126_an_origin_that_is_hidden_leaves_as_a_whole),
    };
    return cmocka_run_group_tests_name("presence_set", tests, NULL, NULL);
}
