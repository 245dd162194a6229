/* SPDX-License-Identifier: MIT */
/* Sorting command lines into words and options. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "common/takoctl/arguments.h"

static const struct ctl_syntax syntax = {
    .words = 2,
    .options = {{.name = "stamps"}, {.name = "json", .is_flag = true}},
};

enum { STAMPS, JSON };

#define LINE(...)                                                                                  \
    (const char *const[])                                                                          \
    {                                                                                              \
        __VA_ARGS__, NULL                                                                          \
    }

static int length(const char *const *line)
{
    int count = 0;

    while (line[count] != NULL)
        count++;
    return count;
}

static struct ctl_arguments parse(const char *const *line)
{
    struct ctl_arguments arguments;
    struct ctl_problem problem;

    if (ctl_arguments_parse(&syntax, length(line), line, &arguments, &problem) != TK_OK)
        fail_msg("refused: %s", problem.text);
    return arguments;
}

static void expect_problem(const char *const *line, const char *text)
{
    struct ctl_arguments arguments;
    struct ctl_problem problem = {{0}};

    assert_int_equal(ctl_arguments_parse(&syntax, length(line), line, &arguments, &problem),
                     TK_EINVAL);
    if (strstr(problem.text, text) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", problem.text, text);
}

static void words_are_taken_in_order(void **state)
{
    struct ctl_arguments a = parse(LINE("first", ""));

    assert_string_equal(a.words[0], "first");
    assert_string_equal(a.words[1], "");
    assert_null(a.options[STAMPS]);
    assert_null(a.options[JSON]);
    assert_false(a.wants_help);
}

static void options_stand_anywhere(void **state)
{
    struct ctl_arguments a = parse(LINE("--stamps", "3", "a", "--json", "b"));
    assert_string_equal(a.options[STAMPS], "3");
    assert_string_equal(a.options[JSON], "");
    assert_string_equal(a.words[1], "b");

    a = parse(LINE("a", "b", "--stamps=-1=x"));
    assert_string_equal(a.options[STAMPS], "-1=x");

    a = parse(LINE("a", "b", "--stamps="));
    assert_string_equal(a.options[STAMPS], "");
}

static void an_option_takes_the_next_word_whatever_it_is(void **state)
{
    struct ctl_arguments a = parse(LINE("a", "b", "--stamps", "--json"));

    assert_string_equal(a.options[STAMPS], "--json");
    assert_null(a.options[JSON]);
}

static void two_dashes_end_the_options(void **state)
{
    struct ctl_arguments a = parse(LINE("--", "--json", "--"));

    assert_string_equal(a.words[0], "--json");
    assert_string_equal(a.words[1], "--");
    assert_null(a.options[JSON]);
}

static void a_single_dash_is_a_word(void **state)
{
    assert_string_equal(parse(LINE("a", "-")).words[1], "-");
}

static void help_wins_over_everything_else_behind_the_command(void **state)
{
    assert_true(parse(LINE("--help")).wants_help);
    assert_true(parse(LINE("a", "-h", "--nonsense")).wants_help);
    assert_false(parse(LINE("--", "-h", "b")).wants_help);
}

static void what_does_not_fit_is_refused(void **state)
{
    expect_problem(LINE("a"), "1 more word is needed");
    expect_problem(LINE("--json"), "2 more words are needed");
    expect_problem(LINE("a", "b", "too \033[2J"), "\\x1b");
    expect_problem(LINE("a", "b", "c"), "\"c\" is one word too many");
    expect_problem(LINE("a", "b", "--nonsense"), "--nonsense is no option");
    expect_problem(LINE("a", "b", "--stamp", "1"), "--stamp is no option");
    expect_problem(LINE("a", "-5"), "-5 is no option");
    expect_problem(LINE("a", "b", "--stamps"), "--stamps needs a value");
    expect_problem(LINE("a", "b", "--json=1"), "--json takes no value");
    expect_problem(LINE("a", "b", "--stamps", "1", "--stamps", "2"), "--stamps is given twice");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_are_taken_in_order),
        cmocka_unit_test(options_stand_anywhere),
        cmocka_unit_test(an_option_takes_the_next_word_whatever_it_is),
        cmocka_unit_test(two_dashes_end_the_options),
        cmocka_unit_test(a_single_dash_is_a_word),
        cmocka_unit_test(help_wins_over_everything_else_behind_the_command),
        cmocka_unit_test(what_does_not_fit_is_refused),
    };
    return cmocka_run_group_tests_name("takoctl arguments", tests, NULL, NULL);
}
