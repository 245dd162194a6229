/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/tk_buf.h"

static void an_empty_buffer_is_valid(void **state)
{
    struct tk_buf b = {0};

    assert_int_equal(tk_buf_slice(&b).len, 0);
    tk_buf_append(&b, NULL, 0);
    tk_buf_consume(&b, 0);
    assert_null(b.data);
    assert_string_equal(tk_buf_str(&b), "");
    tk_buf_fini(&b);
    assert_null(b.data);
    tk_buf_fini(&b);
}

static void what_is_appended_is_there(void **state)
{
    struct tk_buf b = {0};

    tk_buf_append(&b, "ab", 2);
    tk_buf_append_slice(&b, TK_SLICE("c\0d"));
    tk_buf_append_str(&b, "ef");
    tk_buf_append_char(&b, 'g');
    assert_int_equal(b.len, 8);
    assert_memory_equal(b.data, "abc\0defg", 8);
    tk_buf_fini(&b);
}

static void content_survives_growth(void **state)
{
    struct tk_buf b = {0};

    for (int i = 0; i < 10000; i++)
        tk_buf_append_char(&b, (char)i);
    assert_int_equal(b.len, 10000);
    for (int i = 0; i < 10000; i++)
        assert_int_equal(b.data[i], (char)i);
    assert_true(b.cap < 20000);
    tk_buf_fini(&b);
}

static void formatting_fits_at_every_length(void **state)
{
    for (int width = 1; width < 300; width++) {
        struct tk_buf b = {0};
        tk_buf_append_str(&b, ">");
        tk_buf_appendf(&b, "%*d", width, 7);
        assert_int_equal(b.len, width + 1);
        assert_int_equal(b.data[width], '7');
        assert_int_equal(b.data[0], '>');
        tk_buf_fini(&b);
    }
}

static void a_reserve_is_honoured_without_moving(void **state)
{
    struct tk_buf b = {0};

    tk_buf_append_str(&b, "x");
    char *to = tk_buf_reserve(&b, 1000);
    assert_ptr_equal(to, b.data + 1);
    const char *before = b.data;
    for (int i = 0; i < 1000; i++)
        tk_buf_append_char(&b, 'y');
    assert_ptr_equal(b.data, before);
    tk_buf_fini(&b);
}

static void consuming_moves_the_rest_to_the_front(void **state)
{
    struct tk_buf b = {0};

    tk_buf_append_str(&b, "abcdef");
    tk_buf_consume(&b, 2);
    assert_string_equal(tk_buf_str(&b), "cdef");
    tk_buf_consume(&b, 4);
    assert_int_equal(b.len, 0);
    tk_buf_fini(&b);
}

static void clearing_keeps_the_memory(void **state)
{
    struct tk_buf b = {0};

    tk_buf_append_str(&b, "abc");
    const char *before = b.data;
    tk_buf_clear(&b);
    tk_buf_append_str(&b, "d");
    assert_ptr_equal(b.data, before);
    assert_string_equal(tk_buf_str(&b), "d");
    assert_int_equal(b.len, 1);
    tk_buf_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_buffer_is_valid),
        cmocka_unit_test(what_is_appended_is_there),
        cmocka_unit_test(content_survives_growth),
        cmocka_unit_test(formatting_fits_at_every_length),
        cmocka_unit_test(a_reserve_is_honoured_without_moving),
        cmocka_unit_test(consuming_moves_the_rest_to_the_front),
        cmocka_unit_test(clearing_keeps_the_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
