/* SPDX-License-Identifier: MIT */
/*
 * libpq on the loop against a backend of the test's own, which speaks as much of PostgreSQL's
 * protocol (version 3) as one prepared statement needs, and stops or lies where the test wants it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "broker/users/pg_link.h"
#include "common/tk_log.h"
#include "tests/unit/broker/fake_peer.h"
#include "tests/unit/broker/loop_wait.h"

enum { STARTING, READY }; /* of a client of the fake backend */

/* How the backend answers. */
enum manner {
    GOOD,
    SILENT,
    HANG_UP,
    REFUSE, /* an error: 42P01, undefined_table */
    STALE,  /* an error: 0A000, cached plan must not change result type */
    GARBAGE,
    IN_PIECES, /* good, one byte at a time */
};

static struct {
    uv_loop_t loop;
    struct fake_peer peer;
    char conninfo[160];
    struct pg_link *link;
    enum manner startup, prepare, execute;
    int timeout_ms;
    int changes;
    bool closes_on_change;
    char parameter[64]; /* of the last execute */
    char statement[64]; /* the last one prepared */
    char startup_packet[256];
    size_t startup_len;
} t;

static void be32(char *out, uint32_t n)
{
    out[0] = (char)(n >> 24U);
    out[1] = (char)(n >> 16U);
    out[2] = (char)(n >> 8U);
    out[3] = (char)n;
}

static uint32_t read_be32(const char *in)
{
    const unsigned char *p = (const unsigned char *)in;
    return (uint32_t)p[0] << 24U | (uint32_t)p[1] << 16U | (uint32_t)p[2] << 8U | p[3];
}

/* Appends a message: its type, its length, its body. */
static void message(struct tk_buf *out, char type, const void *body, size_t len)
{
    char head[5] = {type};
    be32(head + 1, (uint32_t)len + 4);
    tk_buf_append(out, head, sizeof(head));
    tk_buf_append(out, body, len);
}

#define MESSAGE(out, type, literal) message(out, type, literal, sizeof(literal) - 1)

static void ready_for_query(struct tk_buf *out)
{
    MESSAGE(out, 'Z', "I");
}

static void error(struct tk_buf *out, enum manner manner)
{
    if (manner == REFUSE)
        MESSAGE(out, 'E', "SERROR\0C42P01\0Mrelation \"users\" does not exist\0\0");
    else
        MESSAGE(out, 'E', "SERROR\0C0A000\0Mcached plan must not change result type\0\0");
}

/* One column, one row: "hello". */
static void one_row(struct tk_buf *out)
{
    static const char columns[] = "\0\1"              /* one column: */
                                  "c\0"               /* its name */
                                  "\0\0\0\0\0\0"      /* of no table */
                                  "\0\0\0\31\377\377" /* text, of variable length */
                                  "\377\377\377\377\0\0";
    MESSAGE(out, '2', "");
    message(out, 'T', columns, sizeof(columns) - 1);
    MESSAGE(out, 'D', "\0\1\0\0\0\5hello");
    MESSAGE(out, 'C', "SELECT 1\0");
}

static void say(struct fake_peer_client *c, enum manner manner, struct tk_buf *good)
{
    struct tk_buf out = {0};
    if (manner == GARBAGE)
        tk_buf_append_str(&out, "HTTP/1.1 400 Bad Request\r\n\r\n");
    else if (manner == HANG_UP)
        fake_peer_hang_up(c);
    else if (manner == REFUSE || manner == STALE) {
        error(&out, manner);
        ready_for_query(&out);
    } else if (manner != SILENT)
        tk_buf_append_slice(&out, tk_buf_slice(good));
    size_t piece = manner == IN_PIECES ? 1 : out.len;
    for (size_t i = 0; i < out.len; i += piece)
        fake_peer_say(c, out.data + i, piece);
    tk_buf_fini(good);
    tk_buf_fini(&out);
}

static void on_startup(struct fake_peer_client *c)
{
    struct tk_buf out = {0};
    if (c->in.len < 4 || c->in.len < read_be32(c->in.data))
        return;
    t.startup_len = c->in.len < sizeof(t.startup_packet) ? c->in.len : sizeof(t.startup_packet);
    memcpy(t.startup_packet, c->in.data, t.startup_len);
    tk_buf_clear(&c->in);
    c->state = READY;
    MESSAGE(&out, 'R', "\0\0\0\0");
    MESSAGE(&out, 'N', "SNOTICE\0Mhello\0\0");
    MESSAGE(&out, 'S', "client_encoding\0UTF8\0");
    ready_for_query(&out);
    say(c, t.startup, &out);
}

/* Parse: name, statement. Bind: portal, name, format codes, count, length and value. */
static void on_command(struct fake_peer_client *c)
{
    struct tk_buf out = {0};
    const char *body = c->in.data + 5;
    bool is_parse = c->in.data[0] == 'P';
    if (is_parse) {
        snprintf(t.statement, sizeof(t.statement), "%s", body + strlen(body) + 1);
        MESSAGE(&out, '1', "");
    } else {
        assert_int_equal(c->in.data[0], 'B');
        const char *values = body + 1 + strlen(body + 1) + 1 + 2 + 2;
        snprintf(t.parameter, sizeof(t.parameter), "%.*s", (int)read_be32(values), values + 4);
        one_row(&out);
    }
    tk_buf_clear(&c->in);
    ready_for_query(&out);
    say(c, is_parse ? t.prepare : t.execute, &out);
}

static void on_data(struct fake_peer_client *c, void *arg)
{
    static const char sync[] = "S\0\0\0\4";
    if (c->state == STARTING)
        on_startup(c);
    else if (c->in.len >= 5 && memcmp(c->in.data + c->in.len - 5, sync, 5) == 0)
        on_command(c);
}

static void close_link(void)
{
    pg_link_close(t.link);
    t.link = NULL;
}

static void on_change(void *arg)
{
    t.changes++;
    if (t.closes_on_change)
        close_link();
}

static void open_link(int connections)
{
    const struct pg_link_options options = {
        .conninfo = t.conninfo,
        .statement_name = "answer",
        .statement = "SELECT $1",
        .connections = connections,
        .connect_timeout_ms = t.timeout_ms,
        .statement_timeout_ms = t.timeout_ms,
    };
    t.link = pg_link_open(&t.loop, &options, on_change, NULL);
    assert_int_equal(t.changes, 0);
}

static int setup(void **state)
{
    memset(&t, 0, sizeof(t));
    t.timeout_ms = 5000; /* a busy machine is no reason to fail */
    uv_loop_init(&t.loop);
    fake_peer_start(&t.peer, &t.loop, ".s.PGSQL.5432", on_data, NULL);
    snprintf(t.conninfo, sizeof(t.conninfo),
             "postgresql:///tako?host=%s&port=5432&user=tako&gssencmode=disable", t.peer.dir);
    return 0;
}

static int setup_up(void **state)
{
    setup(state);
    open_link(1);
    LOOP_WAIT(&t.loop, pg_link_is_up(t.link));
    return 0;
}

static int teardown(void **state)
{
    pg_link_close(t.link);
    fake_peer_stop(&t.peer);
    loop_end(&t.loop);
    return 0;
}

struct outcome {
    int count;
    enum tk_err err;
    char value[32];
    bool closes;
};

static void on_result(void *arg, enum tk_err err, const PGresult *result)
{
    struct outcome *o = arg;
    o->count++;
    o->err = err;
    assert_int_equal(result == NULL, err != TK_OK);
    if (result)
        snprintf(o->value, sizeof(o->value), "%s", PQgetvalue(result, 0, 0));
    if (o->closes)
        close_link();
}

static enum tk_err execute(struct outcome *o, const char *parameter)
{
    *o = (struct outcome){.closes = o->closes};
    return pg_link_execute(t.link, parameter, on_result, o);
}

static void expect_outcome(enum tk_err err)
{
    struct outcome o = {0};
    assert_int_equal(execute(&o, "x"), TK_OK);
    assert_int_equal(o.count, 0);
    LOOP_WAIT(&t.loop, o.count == 1);
    assert_int_equal(o.err, err);
}

static void runs_the_statement(void **state)
{
    struct outcome o = {0};
    assert_string_equal(t.statement, "SELECT $1");
    assert_int_equal(execute(&o, "{a,b}"), TK_OK);
    assert_false(pg_link_has_idle(t.link));
    assert_int_equal(execute(&(struct outcome){0}, "no"), TK_EUNAVAIL);
    int changes = t.changes;
    LOOP_WAIT(&t.loop, o.count == 1);
    assert_int_equal(o.err, TK_OK);
    assert_string_equal(o.value, "hello");
    assert_string_equal(t.parameter, "{a,b}");
    assert_true(t.changes > changes);
    assert_true(pg_link_has_idle(t.link));
}

static bool startup_has(const char *key, const char *value)
{
    for (size_t i = 8; i + 1 < t.startup_len;) {
        const char *k = t.startup_packet + i;
        const char *v = k + strlen(k) + 1;
        if (strcmp(k, key) == 0)
            return strcmp(v, value) == 0;
        i += strlen(k) + strlen(v) + 2;
    }
    return false;
}

static void says_who_it_is(void **state)
{
    assert_true(startup_has("application_name", "tako-broker"));
    assert_true(startup_has("client_encoding", "UTF8"));
    assert_true(startup_has("user", "tako"));
}

static void the_url_may_name_it_otherwise(void **state)
{
    strcat(t.conninfo, "&application_name=shop&client_encoding=LATIN1");
    open_link(1);
    LOOP_WAIT(&t.loop, pg_link_is_up(t.link));
    assert_true(startup_has("application_name", "shop"));
    assert_true(startup_has("client_encoding", "UTF8")); /* nicknames are UTF-8 */
}

static void answers_may_come_in_pieces(void **state)
{
    t.execute = IN_PIECES;
    expect_outcome(TK_OK);
}

static void connections_work_in_parallel(void **state)
{
    struct outcome a = {0}, b = {0}, c = {0};
    open_link(2);
    LOOP_WAIT(&t.loop, t.changes == 2);
    assert_int_equal(execute(&a, "a"), TK_OK);
    assert_int_equal(execute(&b, "b"), TK_OK);
    assert_int_equal(execute(&c, "c"), TK_EUNAVAIL);
    LOOP_WAIT(&t.loop, a.count + b.count == 2);
    assert_int_equal(t.peer.accepted, 2);
}

static void a_lost_connection_comes_back(void **state)
{
    t.execute = HANG_UP;
    expect_outcome(TK_EUNAVAIL);
    assert_false(pg_link_is_up(t.link));
    assert_false(pg_link_is_failing(t.link)); /* it was not tried again yet */
    LOOP_WAIT(&t.loop, pg_link_is_up(t.link));
    t.execute = GOOD;
    expect_outcome(TK_OK);
}

static void a_loss_while_idle_is_noticed(void **state)
{
    fake_peer_hang_up(t.peer.clients);
    LOOP_WAIT(&t.loop, !pg_link_is_up(t.link));
    LOOP_WAIT(&t.loop, pg_link_is_up(t.link));
    expect_outcome(TK_OK);
}

static void a_silent_statement_has_a_deadline(void **state)
{
    t.timeout_ms = 300;
    open_link(1);
    LOOP_WAIT(&t.loop, pg_link_is_up(t.link));
    t.execute = SILENT;
    expect_outcome(TK_ETIMEOUT);
    LOOP_WAIT(&t.loop, t.peer.clients->is_gone); /* no answer to a question nobody remembers */
    t.execute = GOOD;
    LOOP_WAIT(&t.loop, pg_link_is_up(t.link));
    expect_outcome(TK_OK);
}

static void garbage_loses_the_connection(void **state)
{
    t.execute = GARBAGE;
    expect_outcome(TK_EUNAVAIL);
    t.execute = GOOD;
    LOOP_WAIT(&t.loop, pg_link_is_up(t.link));
    expect_outcome(TK_OK);
}

static void a_refused_statement_keeps_the_connection(void **state)
{
    t.execute = REFUSE;
    expect_outcome(TK_EIO);
    t.execute = GOOD;
    expect_outcome(TK_OK);
    assert_int_equal(t.peer.accepted, 1);
}

static void a_stale_statement_is_prepared_again(void **state)
{
    t.execute = STALE;
    expect_outcome(TK_EUNAVAIL);
    t.execute = GOOD;
    LOOP_WAIT(&t.loop, pg_link_is_up(t.link));
    expect_outcome(TK_OK);
    assert_int_equal(t.peer.accepted, 2);
}

/* The broker may start before the schema is there. */
static void a_missing_table_is_waited_for(void **state)
{
    t.prepare = REFUSE;
    open_link(1);
    LOOP_WAIT(&t.loop, pg_link_is_failing(t.link));
    assert_false(pg_link_is_up(t.link));
    assert_int_equal(execute(&(struct outcome){0}, "x"), TK_EUNAVAIL);
    t.prepare = GOOD;
    LOOP_WAIT(&t.loop, pg_link_is_up(t.link));
    assert_false(pg_link_is_failing(t.link));
    expect_outcome(TK_OK);
    assert_int_equal(t.peer.accepted, 1);
}

static void a_silent_server_is_tried_again(void **state)
{
    t.startup = SILENT;
    t.timeout_ms = 300;
    open_link(1);
    LOOP_WAIT(&t.loop, t.peer.accepted == 2);
    assert_false(pg_link_is_failing(t.link)); /* a fresh start: callers wait (C7) */
    t.startup = GOOD;
    t.prepare = SILENT;
    LOOP_WAIT(&t.loop, t.peer.accepted == 4);
    t.prepare = GOOD;
    LOOP_WAIT(&t.loop, pg_link_is_up(t.link));
}

static void it_fails_once_a_reconnect_failed(void **state)
{
    int changes = t.changes;
    t.startup = HANG_UP;
    fake_peer_hang_up(t.peer.clients);
    LOOP_WAIT(&t.loop, pg_link_is_failing(t.link));
    assert_true(t.changes >= changes + 2);
    t.startup = GOOD;
    LOOP_WAIT(&t.loop, pg_link_is_up(t.link));
    assert_false(pg_link_is_failing(t.link));
}

static void a_bad_conninfo_never_connects_and_never_crashes(void **state)
{
    snprintf(t.conninfo, sizeof(t.conninfo), "postgresql://u:secret@[bad/x");
    open_link(2);
    LOOP_WAIT(&t.loop, t.changes > 3);
    assert_false(pg_link_is_up(t.link));
}

static void close_answers_statements_under_way(void **state)
{
    struct outcome o = {0};
    assert_int_equal(execute(&o, "x"), TK_OK);
    int changes = t.changes;
    close_link();
    assert_int_equal(o.count, 1);
    assert_int_equal(o.err, TK_EUNAVAIL);
    loop_idle(&t.loop, 50);
    assert_int_equal(o.count, 1);
    assert_int_equal(t.changes, changes);
}

static void may_be_closed_from_a_result(void **state)
{
    struct outcome o = {.closes = true};
    assert_int_equal(execute(&o, "x"), TK_OK);
    LOOP_WAIT(&t.loop, o.count == 1);
    loop_idle(&t.loop, 20);
}

static void may_be_closed_from_a_failed_result(void **state)
{
    struct outcome o = {.closes = true};
    t.execute = HANG_UP;
    assert_int_equal(execute(&o, "x"), TK_OK);
    LOOP_WAIT(&t.loop, o.count == 1);
    loop_idle(&t.loop, 200);
    assert_int_equal(t.peer.accepted, 1);
}

static void may_be_closed_from_on_change(void **state)
{
    t.closes_on_change = true;
    open_link(2);
    LOOP_WAIT(&t.loop, t.changes == 1);
    loop_idle(&t.loop, 20);
    assert_int_equal(t.changes, 1);
}

static void may_be_closed_at_once(void **state)
{
    open_link(2);
    close_link();
    open_link(2);
    uv_run(&t.loop, UV_RUN_NOWAIT);
    close_link();
}

#define TEST(name)    cmocka_unit_test_setup_teardown(name, setup, teardown)
#define TEST_UP(name) cmocka_unit_test_setup_teardown(name, setup_up, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST_UP(runs_the_statement),
        TEST_UP(says_who_it_is),
        TEST(the_url_may_name_it_otherwise),
        TEST_UP(answers_may_come_in_pieces),
        TEST(connections_work_in_parallel),
        TEST_UP(a_lost_connection_comes_back),
        TEST_UP(a_loss_while_idle_is_noticed),
        TEST(a_silent_statement_has_a_deadline),
        TEST_UP(garbage_loses_the_connection),
        TEST_UP(a_refused_statement_keeps_the_connection),
        TEST_UP(a_stale_statement_is_prepared_again),
        TEST(a_missing_table_is_waited_for),
        TEST(a_silent_server_is_tried_again),
        TEST_UP(it_fails_once_a_reconnect_failed),
        TEST(a_bad_conninfo_never_connects_and_never_crashes),
        TEST_UP(close_answers_statements_under_way),
        TEST_UP(may_be_closed_from_a_result),
        TEST_UP(may_be_closed_from_a_failed_result),
        TEST(may_be_closed_from_on_change),
        TEST(may_be_closed_at_once),
    };
    tk_log_init(TK_LOG_ERROR, NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
