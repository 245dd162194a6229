/* SPDX-License-Identifier: MIT */
/* Settings under a made-up environment. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/tk_settings.h"

struct demo {
    char *database_url;
    char *redis_url;
    char *log_level;
    bool dev;
    int64_t port;
    int64_t offset;
    int64_t any;
    char *node;
    struct tk_string_list origins;
    char *token;
    struct tk_string_list tokens;
};

#define LONG_HELP                                                                                  \
    "A help text that is much longer than a line, because settings with consequences need more "   \
    "than a few words, and which has to be wrapped.\nIts second paragraph is short."

/* TAKO_DEV stands behind rows that depend on it, on purpose. */
static const struct tk_setting rows[] = {
    TK_SETTING_ROW_DATABASE_URL(struct demo),
    TK_SETTING_ROW_REDIS_URL(struct demo),
    TK_SETTING_ROW_LOG_LEVEL(struct demo),
    {"PORT", TK_SETTING_INT, 0, offsetof(struct demo, port), "4000", 1, 65535, "TCP port."},
    {"OFFSET", TK_SETTING_INT, 0, offsetof(struct demo, offset), "-5", -10, 10, "An offset."},
    {"ANY", TK_SETTING_INT, 0, offsetof(struct demo, any), "0", INT64_MIN, INT64_MAX,
     "Any number."},
    {"NODE", TK_SETTING_STRING, 0, offsetof(struct demo, node), NULL, 0, 0, "The name."},
    {"ORIGINS", TK_SETTING_LIST, 0, offsetof(struct demo, origins), "https://a,https://b", 0, 0,
     LONG_HELP},
    {"TOKEN", TK_SETTING_STRING, TK_SETTING_SECRET, offsetof(struct demo, token), NULL, 0, 0,
     "A secret."},
    {"TOKENS", TK_SETTING_LIST, TK_SETTING_SECRET | TK_SETTING_REQUIRED,
     offsetof(struct demo, tokens), NULL, 0, 0, "More secrets."},
    TK_SETTING_ROW_DEV(struct demo),
};

static const struct tk_settings_table table = {"demo", rows, TK_ARRAY_LEN(rows)};

#define GOOD_DATABASE "postgres://u:hunter2@db/tako"

static const char *environment[40]; /* name, value, ..., NULL */

static const char *fake_env(const char *name)
{
    for (size_t i = 0; environment[i] != NULL; i += 2) {
        if (strcmp(environment[i], name) == 0)
            return environment[i + 1];
    }
    return NULL;
}

struct loaded {
    struct demo settings;
    enum tk_err err;
    char errors[2000];
};

static void load(struct loaded *result, const char *const *pairs)
{
    FILE *errors = fmemopen(result->errors, sizeof(result->errors), "w");
    size_t i = 0;

    assert_non_null(errors);
    memset(&result->settings, 0, sizeof(result->settings));
    for (; pairs[i] != NULL; i++)
        environment[i] = pairs[i];
    environment[i] = NULL;
    result->errors[0] = '\0';
    result->err = tk_settings_load(&table, fake_env, &result->settings, errors);
    fclose(errors);
}

static void unload(struct loaded *result)
{
    tk_settings_free(&table, &result->settings);
}

#define LOAD(result, ...) load((result), (const char *const[]){__VA_ARGS__, NULL})
#define REQUIRED          "DATABASE_URL", GOOD_DATABASE, "TOKENS", "t1"

static void defaults_apply_to_what_is_unset_or_empty(void **state)
{
    struct loaded r;

    LOAD(&r, REQUIRED, "REDIS_URL", "", "PORT", "", "ORIGINS", "", "NODE", "");
    assert_int_equal(r.err, TK_OK);
    assert_string_equal(r.errors, "");
    assert_string_equal(r.settings.redis_url, "redis://127.0.0.1:6379/0");
    assert_string_equal(r.settings.log_level, "info");
    assert_false(r.settings.dev);
    assert_int_equal(r.settings.port, 4000);
    assert_int_equal(r.settings.offset, -5);
    assert_null(r.settings.node);
    assert_int_equal(r.settings.origins.count, 2);
    assert_string_equal(r.settings.origins.items[1], "https://b");
    unload(&r);
}

static void values_are_taken_from_the_environment(void **state)
{
    struct loaded r;

    LOAD(&r, REQUIRED, "PORT", "65535", "OFFSET", "-10", "NODE", " a b ", "TAKO_DEV", "Yes",
         "ORIGINS", " x , ,y\t,,z z,", "TAKO_LOG_LEVEL", "debug", "REDIS_URL", "unix:///r.sock");
    assert_int_equal(r.err, TK_OK);
    assert_int_equal(r.settings.port, 65535);
    assert_int_equal(r.settings.offset, -10);
    assert_string_equal(r.settings.node, " a b ");
    assert_true(r.settings.dev);
    assert_int_equal(r.settings.origins.count, 3);
    assert_string_equal(r.settings.origins.items[0], "x");
    assert_string_equal(r.settings.origins.items[1], "y");
    assert_string_equal(r.settings.origins.items[2], "z z");
    assert_string_equal(r.settings.log_level, "debug");
    assert_string_equal(r.settings.redis_url, "unix:///r.sock");
    assert_string_equal(r.settings.database_url, GOOD_DATABASE);
    unload(&r);
}

static void every_spelling_of_yes_and_no_is_known(void **state)
{
    static const char *const words[][2] = {
        {"0", "1"}, {"false", "TRUE"}, {"no", "yes"}, {"Off", "on"}};

    for (size_t i = 0; i < TK_ARRAY_LEN(words); i++) {
        for (int on = 0; on < 2; on++) {
            struct loaded r;
            LOAD(&r, REQUIRED, "TAKO_DEV", words[i][on]);
            assert_int_equal(r.err, TK_OK);
            assert_int_equal(r.settings.dev, on);
            unload(&r);
        }
    }
}

static void expect_refused(const char *name, const char *value, const char *line)
{
    struct loaded r;

    LOAD(&r, REQUIRED, name, value);
    assert_int_equal(r.err, TK_EINVAL);
    assert_string_equal(r.errors, line);
    unload(&r);
}

static void bad_numbers_are_explained(void **state)
{
    expect_refused("PORT", "0", "demo: PORT: \"0\" is out of range, must be between 1 and 65535\n");
    expect_refused("PORT", "65536",
                   "demo: PORT: \"65536\" is out of range, must be between 1 and 65535\n");
    expect_refused("PORT", "99999999999999999999",
                   "demo: PORT: \"99999999999999999999\" is out of range, must be between 1 and "
                   "65535\n");
    expect_refused("OFFSET", "-11",
                   "demo: OFFSET: \"-11\" is out of range, must be between -10 and 10\n");
    expect_refused("ANY", "9223372036854775808",
                   "demo: ANY: \"9223372036854775808\" is out of range, must be between "
                   "-9223372036854775808 and 9223372036854775807\n");

    static const char *const texts[] = {"x", "1x",  "+1",   " 1",  "1 ",
                                        "-", "--1", "0x10", "1.5", "1e3"};
    for (size_t i = 0; i < TK_ARRAY_LEN(texts); i++) {
        struct loaded r;
        LOAD(&r, REQUIRED, "PORT", texts[i]);
        assert_int_equal(r.err, TK_EINVAL);
        assert_non_null(strstr(r.errors, "is not a whole number, must be one between 1 and 65535"));
        unload(&r);
    }
}

static void other_bad_values_are_explained(void **state)
{
    expect_refused("TAKO_DEV", "maybe",
                   "demo: TAKO_DEV: \"maybe\" is neither yes nor no, must be one of 1 0 true false "
                   "yes no on off\n");
    expect_refused("TAKO_LOG_LEVEL", "verbose",
                   "demo: TAKO_LOG_LEVEL: \"verbose\" is no log level, must be one of error warn "
                   "info debug\n");
    expect_refused("PORT", "a\nb",
                   "demo: PORT: \"a\\x0ab\" is not a whole number, must be one "
                   "between 1 and 65535\n");
}

static void secrets_are_not_quoted(void **state)
{
    struct loaded r;

    LOAD(&r, "DATABASE_URL", "mysql://u:hunter2@db", "REDIS_URL", "redis://:hunter2@h:x", "TOKENS",
         "hunter2");
    assert_int_equal(r.err, TK_EINVAL);
    assert_string_equal(
        r.errors, "demo: DATABASE_URL: the value must begin with postgres://, postgresql:// or "
                  "ecto://\n"
                  "demo: REDIS_URL: the value has a bad port, must be between 1 and 65535\n");
    unload(&r);
}

/* H18 */
static void what_is_required_must_be_set(void **state)
{
    struct loaded r;

    LOAD(&r, "TOKENS", " , ,", "DATABASE_URL", "");
    assert_int_equal(r.err, TK_EINVAL);
    assert_string_equal(
        r.errors,
        "demo: DATABASE_URL: is required and not set (TAKO_DEV=1 does without, for development)\n"
        "demo: TOKENS: is required and not set (TAKO_DEV=1 does without, for development)\n");
    unload(&r);
}

static void development_mode_does_without(void **state)
{
    struct loaded r;

    LOAD(&r, "TAKO_DEV", "1");
    assert_int_equal(r.err, TK_OK);
    assert_null(r.settings.database_url);
    assert_int_equal(r.settings.tokens.count, 0);
    unload(&r);
    LOAD(&r, "TAKO_DEV", "0");
    assert_int_equal(r.err, TK_EINVAL);
    unload(&r);
    LOAD(&r, "TAKO_DEV", "1", "DATABASE_URL", "nonsense"); /* wrong is not the same as absent */
    assert_int_equal(r.err, TK_EINVAL);
    unload(&r);
}

static void all_mistakes_are_reported_at_once(void **state)
{
    struct loaded r;
    size_t lines = 0;

    LOAD(&r, "PORT", "x", "OFFSET", "11", "TAKO_DEV", "?", "TAKO_LOG_LEVEL", "?");
    assert_int_equal(r.err, TK_EINVAL);
    for (const char *p = r.errors; (p = strchr(p, '\n')) != NULL; p++)
        lines++;
    assert_int_equal(lines, 6); /* the four, and the two required ones */
    unload(&r);
}

static void freeing_twice_is_harmless(void **state)
{
    struct loaded r;

    LOAD(&r, REQUIRED);
    unload(&r);
    assert_null(r.settings.redis_url);
    unload(&r);
}

static char printed[16384];

static FILE *print_start(void)
{
    memset(printed, 0, sizeof(printed));
    FILE *file = fmemopen(printed, sizeof(printed) - 1, "w");
    assert_non_null(file);
    return file;
}

static void expect_line(const char *line)
{
    if (strstr(printed, line) == NULL)
        fail_msg("\"%s\" is not in:\n%s", line, printed);
}

static void expect_lines_within(size_t columns)
{
    for (const char *p = printed; *p != '\0'; p += strcspn(p, "\n") + 1)
        assert_in_range(strcspn(p, "\n"), 0, columns);
}

static void values_in_force_are_printed_without_secrets(void **state)
{
    struct loaded r;

    LOAD(&r, REQUIRED, "PORT", "4001", "ANY", "-9223372036854775808", "TAKO_DEV", "on");
    FILE *file = print_start();
    tk_settings_print_values(&table, &r.settings, file);
    fclose(file);
    assert_string_equal(printed, "DATABASE_URL=(set)\n"
                                 "REDIS_URL=(set)\n"
                                 "TAKO_LOG_LEVEL=info\n"
                                 "PORT=4001\n"
                                 "OFFSET=-5\n"
                                 "ANY=-9223372036854775808\n"
                                 "NODE=\n"
                                 "ORIGINS=https://a,https://b\n"
                                 "TOKEN=(not set)\n"
                                 "TOKENS=(set)\n"
                                 "TAKO_DEV=1\n");
    unload(&r);
}

static void help_names_default_range_and_duty(void **state)
{
    FILE *file = print_start();

    tk_settings_print_help(&table, file);
    fclose(file);
    expect_line("\n  DATABASE_URL=  (required)\n      PostgreSQL, as ");
    expect_line("\n  PORT=4000  (1 to 65535)\n      TCP port.\n");
    expect_line("\n  NODE=\n      The name.\n");
    expect_line("\n      A help text that is much longer than a line, because settings with "
                "consequences need\n      more than a few words, and which has to be wrapped.\n"
                "      Its second paragraph is short.\n");
    expect_lines_within(92);
}

static void the_example_can_be_filled_in(void **state)
{
    FILE *file = print_start();

    tk_settings_print_example(&table, file);
    fclose(file);
    expect_line("# Required.\nDATABASE_URL=\n\n");
    expect_line("\n#REDIS_URL=redis://127.0.0.1:6379/0\n\n");
    expect_line("\n\n# TCP port.\n# 1 to 65535.\n#PORT=4000\n\n");
    expect_line("\n#NODE=\n\n");
    expect_line("\n# Its second paragraph is short.\n#ORIGINS=https://a,https://b\n\n");
    expect_line("\n# A secret.\nTOKEN=\n\n");
    expect_line("\nTOKENS=\n\n");
    expect_lines_within(100);
}

/* What the example shows as the default is what an untouched file gives. */
static void the_example_with_its_defaults_uncommented_loads(void **state)
{
    static char lines[40][200];
    struct loaded commented, uncommented;
    size_t n = 0;

    FILE *file = print_start();
    tk_settings_print_example(&table, file);
    fclose(file);
    const char *pairs[40] = {"DATABASE_URL", GOOD_DATABASE, "TOKENS", "t"};
    size_t used = 4;
    for (char *p = printed; *p != '\0'; p += strcspn(p, "\n") + 1) {
        size_t len = strcspn(p, "\n");
        if (p[0] != '#' || p[1] == ' ' || len >= sizeof(lines[0]))
            continue;
        snprintf(lines[n], sizeof(lines[n]), "%.*s", (int)len - 1, p + 1);
        char *value = strchr(lines[n], '=');
        assert_non_null(value);
        *value = '\0';
        pairs[used++] = lines[n++];
        pairs[used++] = value + 1;
    }
    pairs[used] = NULL;
    assert_int_equal(n, 8); /* all but the two required ones and the bare secret */

    load(&uncommented, pairs);
    assert_int_equal(uncommented.err, TK_OK);
    LOAD(&commented, "DATABASE_URL", GOOD_DATABASE, "TOKENS", "t");
    assert_int_equal(uncommented.settings.port, commented.settings.port);
    assert_int_equal(uncommented.settings.offset, commented.settings.offset);
    assert_int_equal(uncommented.settings.origins.count, commented.settings.origins.count);
    assert_string_equal(uncommented.settings.redis_url, commented.settings.redis_url);
    unload(&uncommented);
    unload(&commented);
}

/* Runs the command line with stdout and stderr going to printed; -1: not handled. */
static enum tk_err refuse_port_4321(const void *settings)
{
    const struct demo *demo = settings;

    if (demo->port != 4321)
        return TK_OK;
    fputs("demo: 4321 is taken\n", stderr);
    return TK_EINVAL;
}

static int run_command_line(const char *word)
{
    char *argv[] = {(char *)"demo", (char *)"start", (char *)word, NULL};
    FILE *file = tmpfile();
    int status = -1;

    assert_non_null(file);
    fflush(stdout);
    int out = dup(STDOUT_FILENO), errors = dup(STDERR_FILENO);
    dup2(fileno(file), STDOUT_FILENO);
    dup2(fileno(file), STDERR_FILENO);
    bool handled = tk_settings_command_line(&table, sizeof(struct demo), refuse_port_4321,
                                            "usage: demo start", 3, argv, &status);
    fflush(stdout);
    dup2(out, STDOUT_FILENO);
    dup2(errors, STDERR_FILENO);
    close(out);
    close(errors);
    rewind(file);
    memset(printed, 0, sizeof(printed));
    printed[fread(printed, 1, sizeof(printed) - 1, file)] = '\0';
    fclose(file);
    return handled ? status : -1;
}

static void the_command_line_prints_and_tells_the_status(void **state)
{
    assert_int_equal(run_command_line("--help"), 0);
    expect_line("usage: demo start\n");
    expect_line("PORT=4000");
    assert_int_equal(run_command_line("--version"), 0);
    assert_string_equal(printed, "demo " TAKO_VERSION "\n");
    assert_int_equal(run_command_line("--env-example"), 0);
    expect_line("#PORT=4000");
    assert_int_equal(run_command_line("--other"), -1);
    assert_string_equal(printed, "");
}

static int clear_environment(void **state)
{
    return clearenv();
}

static void check_config_answers_with_values_or_mistakes(void **state)
{
    setenv("DATABASE_URL", GOOD_DATABASE, 1);
    setenv("TOKENS", "t", 1);
    assert_int_equal(run_command_line("--check-config"), 0);
    expect_line("PORT=4000\n");
    expect_line("DATABASE_URL=(set)\n");

    setenv("PORT", "none", 1);
    assert_int_equal(run_command_line("--check-config"), 2);
    assert_string_equal(printed,
                        "demo: PORT: \"none\" is not a whole number, must be one between 1 "
                        "and 65535\n");

    setenv("PORT", "4321", 1);
    assert_int_equal(run_command_line("--check-config"), 2);
    assert_string_equal(printed, "demo: 4321 is taken\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_apply_to_what_is_unset_or_empty),
        cmocka_unit_test(values_are_taken_from_the_environment),
        cmocka_unit_test(every_spelling_of_yes_and_no_is_known),
        cmocka_unit_test(bad_numbers_are_explained),
        cmocka_unit_test(other_bad_values_are_explained),
        cmocka_unit_test(secrets_are_not_quoted),
        cmocka_unit_test(what_is_required_must_be_set),
        cmocka_unit_test(development_mode_does_without),
        cmocka_unit_test(all_mistakes_are_reported_at_once),
        cmocka_unit_test(freeing_twice_is_harmless),
        cmocka_unit_test(values_in_force_are_printed_without_secrets),
        cmocka_unit_test(help_names_default_range_and_duty),
        cmocka_unit_test(the_example_can_be_filled_in),
        cmocka_unit_test(the_example_with_its_defaults_uncommented_loads),
        cmocka_unit_test(the_command_line_prints_and_tells_the_status),
        cmocka_unit_test_setup_teardown(check_config_answers_with_values_or_mistakes,
                                        clear_environment, clear_environment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
