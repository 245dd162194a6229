/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/tk_url.h"

static void expect_database(const char *url, const char *expected)
{
    char *conninfo = NULL;
    const char *why = NULL;

    assert_int_equal(tk_database_url(url, &conninfo, &why), TK_OK);
    assert_string_equal(conninfo, expected);
    free(conninfo);
}

static void database_schemes_are_equal(void **state)
{
    expect_database("postgres://u:p@db/tako", "postgres://u:p@db/tako");
    expect_database("postgresql://u:p@db:5433/tako", "postgresql://u:p@db:5433/tako");
    expect_database("ecto://u:p%40x@db/tako", "postgresql://u:p%40x@db/tako");
    expect_database("postgres:///tako?host=/run/postgresql",
                    "postgres:///tako?host=/run/postgresql");
    expect_database("ecto://postgres:postgres@localhost/holoquest?sslmode=require",
                    "postgresql://postgres:postgres@localhost/holoquest?sslmode=require");
}

static void refuse_database(const char *url, const char *reason)
{
    char *conninfo = NULL;
    const char *why = "";

    assert_int_equal(tk_database_url(url, &conninfo, &why), TK_EINVAL);
    assert_null(conninfo);
    if (strstr(why, reason) == NULL)
        fail_msg("%s: %s", url, why);
}

static void other_database_urls_are_refused(void **state)
{
    refuse_database("", "must begin with");
    refuse_database("mysql://db/tako", "must begin with");
    refuse_database("POSTGRES://db/tako", "must begin with"); /* libpq knows lower case only */
    refuse_database("host=db dbname=tako", "must begin with");
    refuse_database(" postgres://db/tako", "must begin with");
    refuse_database("postgres://u:p%zz@db/tako", "percent-encoded");
    refuse_database("postgres://db/tako?pool_size=10", "parameters");
    refuse_database("postgres://[::1/tako", "libpq");
}

static struct tk_redis_address parsed(const char *url)
{
    struct tk_redis_address address;
    const char *why = "";

    if (tk_redis_url(url, &address, &why))
        fail_msg("%s: %s", url, why);
    return address;
}

static void expect_text(const char *actual, const char *expected)
{
    if (expected == NULL)
        assert_null(actual);
    else
        assert_string_equal(actual, expected);
}

static void expect_tcp(const char *url, const char *host, int port, int db, const char *user,
                       const char *password)
{
    struct tk_redis_address address = parsed(url);

    assert_string_equal(address.host, host);
    assert_int_equal(address.port, port);
    assert_int_equal(address.db, db);
    assert_null(address.unix_path);
    expect_text(address.user, user);
    expect_text(address.password, password);
    tk_redis_address_fini(&address);
    assert_null(address.host);
}

static void redis_urls_for_tcp(void **state)
{
    expect_tcp("redis://127.0.0.1:6379/0", "127.0.0.1", 6379, 0, NULL, NULL);
    expect_tcp("redis://redis", "redis", 6379, 0, NULL, NULL);
    expect_tcp("redis://redis/", "redis", 6379, 0, NULL, NULL);
    expect_tcp("redis://redis/15", "redis", 6379, 15, NULL, NULL);
    expect_tcp("redis://redis:1", "redis", 1, 0, NULL, NULL);
    expect_tcp("redis://redis:65535/3", "redis", 65535, 3, NULL, NULL);
    expect_tcp("redis://[::1]:7000/2", "::1", 7000, 2, NULL, NULL);
    expect_tcp("redis://[2001:db8::1]", "2001:db8::1", 6379, 0, NULL, NULL);
}

static void redis_urls_with_a_login(void **state)
{
    expect_tcp("redis://:secret@h", "h", 6379, 0, NULL, "secret");
    expect_tcp("redis://tako:secret@h:7/1", "h", 7, 1, "tako", "secret");
    expect_tcp("redis://tako@h", "h", 6379, 0, "tako", NULL);
    expect_tcp("redis://tako:@h", "h", 6379, 0, "tako", NULL);
    expect_tcp("redis://:@h", "h", 6379, 0, NULL, NULL);
    expect_tcp("redis://ta%3Ako:p%40ss%2fw%C3%A9@h", "h", 6379, 0, "ta:ko", "p@ss/w\xC3\xA9");
    expect_tcp("redis://:a:b@c@h", "h", 6379, 0, NULL, "a:b@c"); /* the last @ ends the login */
    expect_tcp("redis://:x@[::1]:7000", "::1", 7000, 0, NULL, "x");
}

static void expect_unix(const char *url, const char *path, int db, const char *user,
                        const char *password)
{
    struct tk_redis_address address = parsed(url);

    assert_string_equal(address.unix_path, path);
    assert_null(address.host);
    assert_int_equal(address.db, db);
    expect_text(address.user, user);
    expect_text(address.password, password);
    tk_redis_address_fini(&address);
}

static void redis_urls_for_unix_sockets(void **state)
{
    expect_unix("unix:///run/redis.sock", "/run/redis.sock", 0, NULL, NULL);
    expect_unix("unix:///run/redis.sock?db=4", "/run/redis.sock", 4, NULL, NULL);
    expect_unix("unix:///run/a%20b%3Fc", "/run/a b?c", 0, NULL, NULL);
    expect_unix("unix://:secret@/run/r.sock", "/run/r.sock", 0, NULL, "secret");
    expect_unix("unix://tako:secret@/run/r.sock?db=1", "/run/r.sock", 1, "tako", "secret");
}

static void refuse_redis(const char *url, const char *reason)
{
    struct tk_redis_address address = {.port = 7};
    const char *why = "";

    assert_int_equal(tk_redis_url(url, &address, &why), TK_EINVAL);
    assert_int_equal(address.port, 7);
    if (strstr(why, reason) == NULL)
        fail_msg("%s: %s", url, why);
}

static void other_redis_urls_are_refused(void **state)
{
    refuse_redis("", "must begin with");
    refuse_redis("redis", "must begin with");
    refuse_redis("redis:/h", "must begin with");
    refuse_redis("http://h", "must begin with");
    refuse_redis("rediss://h:6380/0", "TLS");
    refuse_redis("redis://", "host");
    refuse_redis("redis:///0", "host");
    refuse_redis("redis://:6379", "host");
    refuse_redis("redis://user:pw@", "host");
    refuse_redis("redis://h:", "port");
    refuse_redis("redis://h:0", "port");
    refuse_redis("redis://h:65536", "port");
    refuse_redis("redis://h:-1", "port");
    refuse_redis("redis://h:63x", "port");
    refuse_redis("redis://h:99999999999999999999", "port");
    refuse_redis("redis://h/x", "database");
    refuse_redis("redis://h/-1", "database");
    refuse_redis("redis://h/1/", "database");
    refuse_redis("redis://h/99999999999999999999", "database");
    refuse_redis("redis://h?db=1", "database");
    refuse_redis("redis://h/0#x", "database");
    refuse_redis("redis://[::1", "IPv6");
    refuse_redis("redis://[::1]6379", "IPv6");
    refuse_redis("redis://::1:6379", "host");
    refuse_redis("redis://:%zz@h", "percent");
    refuse_redis("redis://:%4@h", "percent");
    refuse_redis("redis://:%@h", "percent");
    refuse_redis("redis://:%00@h", "percent");
    refuse_redis("redis://us%g1er:a@h", "percent");
    refuse_redis("redis://h%", "percent");
}

static void other_unix_urls_are_refused(void **state)
{
    refuse_redis("unix://", "path");
    refuse_redis("unix://run/redis.sock", "path");
    refuse_redis("unix://?db=1", "path");
    refuse_redis("unix:///a?db=", "database");
    refuse_redis("unix:///a?db=x", "database");
    refuse_redis("unix:///a?database=1", "database");
    refuse_redis("unix:///a?", "database");
    refuse_redis("unix:///a%0", "percent");
    refuse_redis("unix:///a%00b", "percent");
    refuse_redis("unix:///0123456789012345678901234567890123456789012345678901234567890123456789"
                 "01234567890123456789012345678901234567890123456789",
                 "too long");
}

/* Reasons are shown to people and written to logs; nothing of the URL may be in them. */
static void reasons_do_not_quote_the_url(void **state)
{
    static const char *const urls[] = {"redis://u:hunter2@h:x", "hunter2://h",
                                       "rediss://:hunter2@h", "redis://u:hunter2%zz@h",
                                       "unix://u:hunter2@"};

    for (size_t i = 0; i < TK_ARRAY_LEN(urls); i++) {
        struct tk_redis_address address;
        const char *why = "";
        assert_int_equal(tk_redis_url(urls[i], &address, &why), TK_EINVAL);
        assert_null(strstr(why, "hunter2"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(database_schemes_are_equal),
        cmocka_unit_test(other_database_urls_are_refused),
        cmocka_unit_test(redis_urls_for_tcp),
        cmocka_unit_test(redis_urls_with_a_login),
        cmocka_unit_test(redis_urls_for_unix_sockets),
        cmocka_unit_test(other_redis_urls_are_refused),
        cmocka_unit_test(other_unix_urls_are_refused),
        cmocka_unit_test(reasons_do_not_quote_the_url),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
