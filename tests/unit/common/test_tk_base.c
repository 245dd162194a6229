/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/tk_base.h"

static void slices_compare_by_bytes(void **state)
{
    assert_true(tk_slice_eq(TK_SLICE("a\0b"), TK_SLICE("a\0b")));
    assert_false(tk_slice_eq(TK_SLICE("a\0b"), TK_SLICE("a\0c")));
    assert_false(tk_slice_eq(TK_SLICE("a"), TK_SLICE("ab")));
    assert_true(tk_slice_eq(tk_slice(NULL, 0), TK_SLICE("")));
    assert_true(tk_slice_eq_str(TK_SLICE("room"), "room"));
    assert_false(tk_slice_eq_str(TK_SLICE("room"), "rooms"));
}

static void slices_have_an_order(void **state)
{
    assert_true(tk_slice_compare(TK_SLICE("a"), TK_SLICE("b")) < 0);
    assert_true(tk_slice_compare(TK_SLICE("b"), TK_SLICE("abc")) > 0);
    assert_true(tk_slice_compare(TK_SLICE("ab"), TK_SLICE("abc")) < 0);
    assert_int_equal(tk_slice_compare(TK_SLICE("abc"), TK_SLICE("abc")), 0);
    assert_int_equal(tk_slice_compare(tk_slice(NULL, 0), TK_SLICE("")), 0);
    assert_true(tk_slice_compare(TK_SLICE("\x7f"), TK_SLICE("\x80")) < 0);
}

static void allocation_of_nothing_is_still_a_pointer(void **state)
{
    void *a = tk_xmalloc(0);
    void *b = tk_xcalloc(0, 8);
    void *c = tk_xrealloc(NULL, 0);

    assert_non_null(a);
    assert_non_null(b);
    assert_non_null(c);
    free(a);
    free(b);
    free(c);
}

static void strings_are_copied(void **state)
{
    char *whole = tk_xstrdup("room:lobby");
    char *part = tk_xstrndup("room:lobby", 4);
    char *empty = tk_xstrndup(NULL, 0);
    char *printed = tk_xasprintf("%s-%d", "node", 7);

    assert_string_equal(whole, "room:lobby");
    assert_string_equal(part, "room");
    assert_string_equal(empty, "");
    assert_string_equal(printed, "node-7");
    free(whole);
    free(part);
    free(empty);
    free(printed);
}

static void every_error_has_its_own_words(void **state)
{
    for (int a = TK_OK; a <= TK_EIO; a++) {
        assert_string_not_equal(tk_strerror((enum tk_err)a), "unknown error");
        for (int b = TK_OK; b < a; b++)
            assert_string_not_equal(tk_strerror((enum tk_err)a), tk_strerror((enum tk_err)b));
    }
    assert_string_equal(tk_strerror((enum tk_err)99), "unknown error");
}

static int signal_of_assert(bool cond)
{
    int status = 0;
    pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0) {
        assert_non_null(freopen("/dev/null", "w", stderr));
        signal(SIGABRT, SIG_DFL);
        tk_assert(cond);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void a_failed_assert_aborts(void **state)
{
    assert_int_equal(signal_of_assert(true), 0);
    assert_int_equal(signal_of_assert(false), SIGABRT);
}

struct outer {
    int first;
    int second;
};

static void a_member_leads_back_to_its_object(void **state)
{
    struct outer object = {1, 2};

    assert_ptr_equal(tk_container_of(&object.second, struct outer, second), &object);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slices_compare_by_bytes),
        cmocka_unit_test(slices_have_an_order),
        cmocka_unit_test(allocation_of_nothing_is_still_a_pointer),
        cmocka_unit_test(strings_are_copied),
        cmocka_unit_test(every_error_has_its_own_words),
        cmocka_unit_test(a_failed_assert_aborts),
        cmocka_unit_test(a_member_leads_back_to_its_object),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
