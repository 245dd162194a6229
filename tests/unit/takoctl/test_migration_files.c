/* SPDX-License-Identifier: MIT */
/* Migrations as files: names, the no-transaction directive, and directories that are not right. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/takoctl/migration_files.h"
#include "common/tk_buf.h"

static bool is_migration_name(const char *file)
{
    struct tk_slice name;
    int64_t version;
    return migration_name_parse(file, &version, &name) == TK_OK;
}

static void a_name_has_version_and_purpose(void **state)
{
    struct tk_slice name;
    int64_t version;

    assert_int_equal(migration_name_parse("20230412120000_create_users_2.sql", &version, &name),
                     TK_OK);
    assert_int_equal(version, 20230412120000);
    assert_true(tk_slice_eq_str(name, "create_users_2"));
}

static void other_names_are_refused(void **state)
{
    static const char *const names[] = {
        "",
        ".sql",
        "20230412120000.sql",
        "20230412120000_.sql",
        "2023041212000_users.sql",
        "202304121200000_users.sql",
        "20230412120000-users.sql",
        "20230412120000_Users.sql",
        "20230412120000_us ers.sql",
        "20230412120000_users.sql.bak",
        "20230412120000_users",
        "20231312120000_users.sql",
        "20230400120000_users.sql",
        "20230432120000_users.sql",
        "20230412240000_users.sql",
        "20230412126000_users.sql",
        "20230412120060_users.sql",
        "x20230412120000_users.sql",
    };

    for (size_t i = 0; i < TK_ARRAY_LEN(names); i++) {
        if (is_migration_name(names[i]))
            fail_msg("taken for a migration: %s", names[i]);
    }
}

static void the_directive_is_the_first_line(void **state)
{
    assert_true(migration_is_outside_transaction("-- no-transaction\nSELECT 1;\n"));
    assert_true(migration_is_outside_transaction("-- no-transaction \r\nSELECT 1;\n"));
    assert_true(migration_is_outside_transaction("-- no-transaction"));
    assert_false(migration_is_outside_transaction("\n-- no-transaction\n"));
    assert_false(migration_is_outside_transaction("-- no-transactions\n"));
    assert_false(migration_is_outside_transaction("SELECT 1; -- no-transaction\n"));
    assert_false(migration_is_outside_transaction(""));
}

static void expect_statements(const char *sql, const char *const *expected)
{
    struct tk_slice rest = tk_slice_str(sql), statement;

    for (; *expected != NULL; expected++) {
        assert_true(migration_next_statement(&rest, &statement));
        if (!tk_slice_eq_str(statement, *expected))
            fail_msg("\"%.*s\" is not \"%s\"", (int)statement.len, statement.ptr, *expected);
    }
    assert_false(migration_next_statement(&rest, &statement));
}

#define STATEMENTS(...)                                                                            \
    (const char *const[])                                                                          \
    {                                                                                              \
        __VA_ARGS__, NULL                                                                          \
    }

static void statements_end_with_a_semicolon_at_the_end_of_a_line(void **state)
{
    expect_statements("-- no-transaction\n-- why;\n\nDROP a;\n\n-- b;\nCREATE b\n    ON c; \n",
                      STATEMENTS("DROP a;\n", "CREATE b\n    ON c; \n"));
    expect_statements("SELECT ';', 1\n;\nSELECT 2", STATEMENTS("SELECT ';', 1\n;\n", "SELECT 2"));
    expect_statements("SELECT 1\n-- not here;\n+ 1;", STATEMENTS("SELECT 1\n-- not here;\n+ 1;"));
    expect_statements("-- nothing;\n\n", (const char *const[]){NULL});
    expect_statements("", (const char *const[]){NULL});
}

/* A private directory per test. */
static int make_directory(void **state)
{
    char *path = strdup("/tmp/tako-migrations-XXXXXX");

    *state = path;
    return path != NULL && mkdtemp(path) != NULL ? 0 : -1;
}

static int remove_directory(void **state)
{
    char *command = tk_xasprintf("rm -rf '%s'", (char *)*state);
    int status = system(command); /* a name of our own making */

    free(command);
    free(*state);
    return status;
}

static void put(const char *directory, const char *file, const char *text, size_t len)
{
    char *path = tk_xasprintf("%s/%s", directory, file);
    FILE *to = fopen(path, "w");

    assert_non_null(to);
    assert_int_equal(fwrite(text, 1, len, to), len);
    assert_int_equal(fclose(to), 0);
    free(path);
}

static void put_text(const char *directory, const char *file, const char *text)
{
    put(directory, file, text, strlen(text));
}

static void expect_refused(const char *directory, const char *text)
{
    struct migration_list list = {0};
    struct ctl_problem problem = {{0}};

    assert_int_equal(migration_list_load(directory, &list, &problem), TK_EINVAL);
    if (strstr(problem.text, text) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", problem.text, text);
    assert_null(list.items);
}

static void a_directory_is_read_in_order_of_version(void **state)
{
    struct migration_list list = {0};
    struct ctl_problem problem;

    put_text(*state, "20260102000000_second.sql", "-- no-transaction\nSELECT 2;\n");
    put_text(*state, "20260101000000_first.sql", "SELECT 1;\n");
    put_text(*state, "README.md", "no migration");
    put_text(*state, ".20260101000000_first.sql", "an editor's");
    put_text(*state, "20260101000000_first.sql~", "an editor's");
    assert_int_equal(migration_list_load(*state, &list, &problem), TK_OK);

    assert_int_equal(list.count, 2);
    assert_string_equal(list.items[0].name, "first");
    assert_string_equal(list.items[0].sql, "SELECT 1;\n");
    assert_false(list.items[0].is_outside_transaction);
    assert_true(list.items[1].is_outside_transaction);
    assert_ptr_equal(migration_list_find(&list, 20260102000000), &list.items[1]);
    assert_null(migration_list_find(&list, 20260103000000));
    migration_list_fini(&list);
}

static void an_empty_or_missing_directory_is_an_error(void **state)
{
    expect_refused(*state, "there are no migrations in");
    expect_refused("/nowhere/at/all", "cannot open /nowhere/at/all: No such file");
}

/* Skipping it would leave a schema without a step that somebody wrote. */
static void a_misnamed_sql_file_is_an_error(void **state)
{
    put_text(*state, "20260101000000_first.sql", "SELECT 1;\n");
    put_text(*state, "2026010200000_second.sql", "SELECT 2;\n");
    expect_refused(*state, "2026010200000_second.sql: must be named like");
}

static void two_files_of_one_version_are_an_error(void **state)
{
    put_text(*state, "20260101000000_one.sql", "SELECT 1;\n");
    put_text(*state, "20260101000000_other.sql", "SELECT 2;\n");
    expect_refused(*state, "have the same version 20260101000000");
}

static void a_file_that_is_no_text_is_an_error(void **state)
{
    put(*state, "20260101000000_first.sql", "SELECT\0 1;", 10);
    expect_refused(*state, "holds a NUL byte");
    put_text(*state, "20260101000000_first.sql", "SELECT '\xff';");
    expect_refused(*state, "is not UTF-8");
}

static void a_file_of_more_than_a_megabyte_is_an_error(void **state)
{
    size_t len = 1024 * 1024 + 1;
    char *text = tk_xmalloc(len);

    memset(text, ' ', len);
    put(*state, "20260101000000_first.sql", text, len);
    free(text);
    expect_refused(*state, "is larger than");
}

/* Opening a pipe that nobody writes to would wait for ever. */
static void a_pipe_or_directory_is_an_error(void **state)
{
    char *path = tk_xasprintf("%s/20260101000000_pipe.sql", (char *)*state);

    assert_int_equal(mkfifo(path, 0600), 0);
    expect_refused(*state, "is no regular file");
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkdir(path, 0700), 0);
    expect_refused(*state, "is no regular file");
    free(path);
}

#define IN_DIRECTORY(test) cmocka_unit_test_setup_teardown(test, make_directory, remove_directory)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_has_version_and_purpose),
        cmocka_unit_test(other_names_are_refused),
        cmocka_unit_test(the_directive_is_the_first_line),
        cmocka_unit_test(statements_end_with_a_semicolon_at_the_end_of_a_line),
        IN_DIRECTORY(a_directory_is_read_in_order_of_version),
        IN_DIRECTORY(an_empty_or_missing_directory_is_an_error),
        IN_DIRECTORY(a_misnamed_sql_file_is_an_error),
        IN_DIRECTORY(two_files_of_one_version_are_an_error),
        IN_DIRECTORY(a_file_that_is_no_text_is_an_error),
        IN_DIRECTORY(a_file_of_more_than_a_megabyte_is_an_error),
        IN_DIRECTORY(a_pipe_or_directory_is_an_error),
    };
    return cmocka_run_group_tests_name("migration files", tests, NULL, NULL);
}
