/* SPDX-License-Identifier: MIT */
/*
 * Lookups of connecting users, with a database of the test's own in pg_link's place: it keeps
 * statements until the test answers them (C7, C84, C166, C167).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "broker/users/pg_link.h"
#include "broker/users/user_directory.h"
#include "tests/unit/broker/loop_wait.h"

#define CONNECTIONS 2

struct statement {
    bool is_busy;
    char *parameter;
    pg_result_fn fn;
    void *arg;
};

/* The fake in pg_link's place. */
struct pg_link {
    struct pg_link_options options;
    pg_link_change_fn on_change;
    void *arg;
    bool is_closed, is_away, is_failing, refuses_next;
    struct statement statements[CONNECTIONS];
};

static struct {
    uv_loop_t loop;
    struct pg_link link;
    struct user_directory *dir;
} t;

static struct pg_link *fake_open(uv_loop_t *loop, const struct pg_link_options *options,
                                 pg_link_change_fn on_change, void *arg)
{
    t.link = (struct pg_link){.options = *options, .on_change = on_change, .arg = arg};
    return &t.link;
}

static void finish(struct statement *s, enum tk_err err, const PGresult *result)
{
    free(s->parameter);
    s->parameter = NULL;
    s->is_busy = false;
    s->fn(s->arg, err, result);
}

static void fake_close(struct pg_link *link)
{
    link->is_closed = true;
    for (int i = 0; i < CONNECTIONS; i++) {
        if (link->statements[i].is_busy)
            finish(&link->statements[i], TK_EUNAVAIL, NULL);
    }
}

static bool fake_has_idle(const struct pg_link *link)
{
    return !link->is_away && !(link->statements[0].is_busy && link->statements[1].is_busy);
}

static bool fake_is_up(const struct pg_link *link)
{
    return !link->is_away;
}

static bool fake_is_failing(const struct pg_link *link)
{
    return link->is_failing;
}

static enum tk_err fake_execute(struct pg_link *link, const char *parameter, pg_result_fn fn,
                                void *arg)
{
    assert_true(fake_has_idle(link));
    if (link->refuses_next) {
        link->refuses_next = false;
        return TK_EUNAVAIL;
    }
    struct statement *s = &link->statements[link->statements[0].is_busy ? 1 : 0];
    *s = (struct statement){true, tk_xstrdup(parameter), fn, arg};
    return TK_OK;
}

static const struct pg_link_ops fake_database = {
    .open = fake_open,
    .close = fake_close,
    .has_idle = fake_has_idle,
    .is_up = fake_is_up,
    .is_failing = fake_is_failing,
    .execute = fake_execute,
};

static void open_directory(int timeout_ms, size_t max_waiting)
{
    const struct user_directory_options options = {
        .conninfo = "",
        .connections = CONNECTIONS,
        .lookup_timeout_ms = timeout_ms,
        .cache_size = 100,
        .cache_ms = 60000,
        .unknown_cache_ms = 60000,
        .max_waiting = max_waiting,
        .database = &fake_database,
    };
    t.dir = user_directory_open(&t.loop, &options);
}

static int setup(void **state)
{
    memset(&t, 0, sizeof(t));
    uv_loop_init(&t.loop);
    open_directory(60000, 2000);
    return 0;
}

static int teardown(void **state)
{
    user_directory_close(t.dir);
    loop_end(&t.loop);
    return 0;
}

/* User number n. */
static struct tk_uuid user(unsigned n)
{
    return (struct tk_uuid){.bytes = {0xab, [14] = (uint8_t)(n >> 8U), [15] = (uint8_t)n}};
}

#define ID(n) "ab000000-0000-0000-0000-00000000000" #n

struct row {
    const char *id, *nickname;
};

/* Answers statement i with these rows. */
static void answer(int i, const struct row *rows, int count)
{
    static char id_name[] = "id", nickname_name[] = "nickname";
    PGresAttDesc columns[] = {{.name = id_name}, {.name = nickname_name}};
    PGresult *result = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK);
    assert_true(PQsetResultAttrs(result, 2, columns));
    for (int row = 0; row < count; row++) {
        const char *values[] = {rows[row].id, rows[row].nickname};
        for (int column = 0; column < 2; column++) {
            char *copy = values[column] ? tk_xstrdup(values[column]) : NULL;
            assert_true(PQsetvalue(result, row, column, copy, copy ? (int)strlen(copy) : -1));
            free(copy);
        }
    }
    assert_true(t.link.statements[i].is_busy);
    finish(&t.link.statements[i], TK_OK, result);
    PQclear(result);
}

static void change(void)
{
    t.link.on_change(t.link.arg);
}

/* A caller and what he was told. */
struct caller {
    int count;
    enum tk_err err;
    char nickname[64];
    struct user_lookup *lookup;
    void (*then)(void);
};

static void on_user(void *arg, enum tk_err err, const struct user_record *record)
{
    struct caller *c = arg;
    c->count++;
    c->err = err;
    assert_int_equal(record == NULL, err != TK_OK);
    if (record)
        snprintf(c->nickname, sizeof(c->nickname), "%s",
                 record->nickname ? record->nickname : "(null)");
    if (c->then)
        c->then();
}

static enum tk_err find(struct caller *c, unsigned n)
{
    struct tk_uuid id = user(n);
    return user_directory_find(t.dir, &id, on_user, c, &c->lookup);
}

static enum tk_err cached(unsigned n, struct user_record *record)
{
    struct tk_uuid id = user(n);
    return user_directory_cached(t.dir, &id, record);
}

static void known_users_are_found_and_remembered(void **state)
{
    struct caller a = {0}, b = {0};
    struct user_record record;
    assert_int_equal(cached(1, &record), TK_EUNAVAIL);
    assert_int_equal(find(&a, 1), TK_OK);
    assert_int_equal(find(&b, 2), TK_OK);
    assert_int_equal(a.count, 0);
    assert_string_equal(t.link.statements[0].parameter, "{" ID(1) "}");
    answer(0, (struct row[]){{ID(1), "Cruel_KFP"}}, 1);
    answer(1, (struct row[]){{ID(2), NULL}}, 1);
    assert_int_equal(a.err, TK_OK);
    assert_string_equal(a.nickname, "Cruel_KFP");
    assert_string_equal(b.nickname, "(null)");

    assert_int_equal(cached(1, &record), TK_OK);
    assert_string_equal(record.nickname, "Cruel_KFP");
    struct tk_uuid id = user(1);
    assert_true(tk_uuid_eq(&record.id, &id));
    assert_int_equal(cached(2, &record), TK_OK);
    assert_null(record.nickname);
    assert_int_equal(user_directory_stats(t.dir)->cache_hits, 2);
}

static void unknown_users_are_remembered_too(void **state)
{
    struct caller a = {0};
    struct user_record record;
    assert_int_equal(find(&a, 1), TK_OK);
    answer(0, NULL, 0);
    assert_int_equal(a.err, TK_ENOTFOUND);
    assert_int_equal(cached(1, &record), TK_ENOTFOUND);
}

static void equal_lookups_share_a_question(void **state)
{
    struct caller callers[5] = {0};
    for (int i = 0; i < 5; i++)
        assert_int_equal(find(&callers[i], 1), TK_OK);
    assert_int_equal(user_directory_stats(t.dir)->statements, 1);
    assert_int_equal(user_directory_stats(t.dir)->waiting, 5);
    answer(0, (struct row[]){{ID(1), "x"}}, 1);
    for (int i = 0; i < 5; i++)
        assert_int_equal(callers[i].count, 1);
    assert_int_equal(user_directory_stats(t.dir)->waiting, 0);
    assert_int_equal(user_directory_stats(t.dir)->peak_waiting, 5);
    assert_int_equal(user_directory_stats(t.dir)->looked_up, 1);
}

/* C166: what comes while the connections are busy goes together, 512 at a time. */
static void lookups_gather_while_connections_are_busy(void **state)
{
    static struct caller callers[1202];
    memset(callers, 0, sizeof(callers));
    for (unsigned i = 0; i < 1202; i++)
        assert_int_equal(find(&callers[i], i), TK_OK);
    assert_int_equal(user_directory_stats(t.dir)->statements, 2);
    answer(0, NULL, 0);
    assert_int_equal(strlen(t.link.statements[0].parameter), 512 * 37 + 1);
    answer(1, NULL, 0);
    assert_int_equal(strlen(t.link.statements[1].parameter), 512 * 37 + 1);
    answer(1, (struct row[]){{"ab000000-0000-0000-0000-000000000202", "late"}}, 1);
    assert_int_equal(strlen(t.link.statements[1].parameter), 176 * 37 + 1);
    assert_string_equal(callers[0x202].nickname, "late");
    answer(1, NULL, 0);
    answer(0, NULL, 0);
    for (int i = 0; i < 1202; i++)
        assert_int_equal(callers[i].count, 1);
    assert_int_equal(user_directory_stats(t.dir)->statements, 5);
    assert_int_equal(user_directory_stats(t.dir)->looked_up, 1202);
    assert_int_equal(user_directory_stats(t.dir)->peak_waiting, 1202);
}

static void rows_nobody_asked_for_are_ignored(void **state)
{
    struct caller a = {0}, b = {0};
    struct user_record record;
    assert_int_equal(find(&a, 1), TK_OK);
    assert_int_equal(find(&b, 2), TK_OK);
    answer(0, (struct row[]){{ID(2), "other"}, {ID(3), "none"}, {"not a uuid", "x"}, {"", ""}}, 4);
    assert_int_equal(a.err, TK_ENOTFOUND);
    assert_int_equal(b.count, 0); /* asked for by the other statement */
    assert_int_equal(cached(3, &record), TK_EUNAVAIL);
    answer(1, (struct row[]){{ID(2), "mine"}}, 1);
    assert_string_equal(b.nickname, "mine");
}

static void callers_have_a_deadline_each(void **state)
{
    struct caller a = {0}, b = {0};
    user_directory_close(t.dir);
    open_directory(300, 10);
    assert_int_equal(find(&a, 1), TK_OK);
    loop_idle(&t.loop, 200);
    assert_int_equal(find(&b, 1), TK_OK);
    LOOP_WAIT(&t.loop, a.count == 1);
    assert_int_equal(a.err, TK_ETIMEOUT);
    assert_int_equal(b.count, 0);
    answer(0, (struct row[]){{ID(1), "x"}}, 1);
    assert_int_equal(b.err, TK_OK);
    assert_int_equal(user_directory_stats(t.dir)->timeouts, 1);
    loop_idle(&t.loop, 350);
    assert_int_equal(b.count, 1);
}

/* C7: a database that never answers costs its callers the lookup's time, nothing more. */
static void a_silent_database_is_a_timeout_for_all(void **state)
{
    struct caller callers[50] = {0};
    user_directory_close(t.dir);
    open_directory(50, 50);
    for (unsigned i = 0; i < 50; i++)
        assert_int_equal(find(&callers[i], i), TK_OK);
    LOOP_WAIT(&t.loop, user_directory_stats(t.dir)->timeouts == 50);
    assert_int_equal(user_directory_stats(t.dir)->waiting, 0);
    answer(0, (struct row[]){{ID(0), "late"}}, 1); /* too late for the caller, not for the cache */
    struct user_record record;
    assert_int_equal(cached(0, &record), TK_OK);
    answer(1, NULL, 0);
    assert_int_equal(user_directory_stats(t.dir)->statements, 2); /* the rest is not asked at all */
}

static void too_many_waiting_are_refused(void **state)
{
    struct caller a = {0}, b = {0}, c = {0};
    user_directory_close(t.dir);
    open_directory(60000, 2);
    assert_int_equal(find(&a, 1), TK_OK);
    assert_int_equal(find(&b, 1), TK_OK);
    assert_int_equal(find(&c, 1), TK_ELIMIT);
    user_directory_cancel(a.lookup);
    assert_int_equal(find(&c, 2), TK_OK);
    assert_int_equal(a.count + b.count + c.count, 0);
}

static void cancelled_lookups_are_not_called_and_not_asked(void **state)
{
    struct caller busy[2] = {0}, a = {0}, b = {0}, c = {0};
    assert_int_equal(find(&busy[0], 8), TK_OK);
    assert_int_equal(find(&busy[1], 9), TK_OK);
    assert_int_equal(find(&a, 1), TK_OK);
    assert_int_equal(find(&b, 2), TK_OK);
    assert_int_equal(find(&c, 1), TK_OK);
    user_directory_cancel(b.lookup);
    user_directory_cancel(a.lookup);
    user_directory_cancel(busy[0].lookup);
    answer(0, (struct row[]){{ID(8), "x"}}, 1);
    assert_string_equal(t.link.statements[0].parameter, "{" ID(1) "}");
    answer(0, (struct row[]){{ID(1), "x"}}, 1);
    assert_int_equal(c.count, 1);
    assert_int_equal(a.count + b.count + busy[0].count, 0);
}

static void a_lost_connection_is_made_good_by_another(void **state)
{
    struct caller a = {0}, gone = {0};
    assert_int_equal(find(&gone, 2), TK_OK);
    assert_int_equal(find(&a, 1), TK_OK);
    user_directory_cancel(gone.lookup);
    finish(&t.link.statements[0], TK_EUNAVAIL, NULL); /* nobody wants that one any more */
    finish(&t.link.statements[1], TK_ETIMEOUT, NULL);
    assert_int_equal(a.count, 0);
    assert_string_equal(t.link.statements[0].parameter, "{" ID(1) "}");
    answer(0, (struct row[]){{ID(1), "x"}}, 1);
    assert_int_equal(a.err, TK_OK);
}

static void a_refused_statement_is_unavailable(void **state)
{
    struct caller a = {0};
    struct user_record record;
    assert_int_equal(find(&a, 1), TK_OK);
    finish(&t.link.statements[0], TK_EIO, NULL);
    assert_int_equal(a.err, TK_EUNAVAIL);
    assert_int_equal(cached(1, &record), TK_EUNAVAIL);
}

static void lookups_wait_for_the_first_connect(void **state)
{
    struct caller a = {0};
    t.link.is_away = true;
    assert_int_equal(find(&a, 1), TK_OK);
    assert_false(user_directory_is_up(t.dir));
    t.link.is_away = false;
    change();
    answer(0, (struct row[]){{ID(1), "x"}}, 1);
    assert_int_equal(a.err, TK_OK);
    assert_true(user_directory_is_up(t.dir));
}

static void find_again(void)
{
    static struct caller again;
    assert_int_equal(find(&again, 7), TK_EUNAVAIL);
}

/* C7: no handshake is held for three seconds when the answer is known already. */
static void a_database_known_to_be_away_fails_at_once(void **state)
{
    struct caller a = {.then = find_again}, b = {0}, c = {0};
    t.link.is_away = true;
    assert_int_equal(find(&a, 1), TK_OK);
    assert_int_equal(find(&b, 2), TK_OK);
    t.link.is_failing = true;
    change();
    assert_int_equal(a.err, TK_EUNAVAIL);
    assert_int_equal(b.err, TK_EUNAVAIL);
    assert_int_equal(find(&c, 3), TK_EUNAVAIL);
    t.link.is_failing = t.link.is_away = false;
    change();
    assert_int_equal(find(&c, 3), TK_OK);
    assert_int_equal(a.count + b.count, 2);
}

static void execute_may_fail_after_all(void **state)
{
    struct caller a = {0};
    t.link.refuses_next = true;
    assert_int_equal(find(&a, 1), TK_OK);
    assert_int_equal(user_directory_stats(t.dir)->statements, 0);
    change();
    answer(0, (struct row[]){{ID(1), "x"}}, 1);
    assert_int_equal(a.err, TK_OK);
}

static void event(enum tk_user_event_kind kind, unsigned n)
{
    struct tk_user_event e = {.kind = kind, .id = user(n)};
    user_directory_on_event(t.dir, &e);
}

static void events_correct_the_caches(void **state)
{
    struct caller a = {0}, b = {0}, c = {0};
    struct user_record record;
    assert_int_equal(find(&a, 1), TK_OK);
    answer(0, (struct row[]){{ID(1), "old"}}, 1);
    assert_int_equal(find(&b, 2), TK_OK);
    answer(0, NULL, 0);
    assert_int_equal(find(&c, 3), TK_OK);
    answer(0, (struct row[]){{ID(3), "x"}}, 1);

    event(TK_USER_DISCONNECT, 1);
    assert_int_equal(cached(1, &record), TK_OK);
    event(TK_USER_UPDATED, 1);
    assert_int_equal(cached(1, &record), TK_EUNAVAIL);
    event(TK_USER_CREATED, 2);
    assert_int_equal(cached(2, &record), TK_EUNAVAIL);
    event(TK_USER_DELETED, 3);
    assert_int_equal(cached(3, &record), TK_EUNAVAIL);
}

/* The user was created between the statement's snapshot and its answer: he exists. */
static void an_event_outdates_an_answer_under_way(void **state)
{
    struct caller a = {0};
    assert_int_equal(find(&a, 1), TK_OK);
    event(TK_USER_CREATED, 1);
    answer(0, NULL, 0);
    assert_int_equal(a.count, 0);
    answer(0, (struct row[]){{ID(1), "new"}}, 1);
    assert_string_equal(a.nickname, "new");

    struct caller b = {0};
    struct user_record record;
    event(TK_USER_UPDATED, 1);
    assert_int_equal(find(&b, 1), TK_OK);
    user_directory_forget_all(t.dir);
    answer(0, (struct row[]){{ID(1), "new"}}, 1);
    assert_int_equal(cached(1, &record), TK_EUNAVAIL);
    answer(0, NULL, 0);
    assert_int_equal(b.err, TK_ENOTFOUND);
    user_directory_forget_all(t.dir);
    assert_int_equal(cached(1, &record), TK_EUNAVAIL);
}

static struct caller other;

static void cancel_other(void)
{
    user_directory_cancel(other.lookup);
}

static void callers_may_cancel_each_other(void **state)
{
    struct caller a = {.then = cancel_other};
    other = (struct caller){0};
    assert_int_equal(find(&other, 1), TK_OK); /* the same question, told after a */
    assert_int_equal(find(&a, 1), TK_OK);
    answer(0, (struct row[]){{ID(1), "x"}}, 1);
    assert_int_equal(a.count, 1);
    assert_int_equal(other.count, 0);
    assert_int_equal(user_directory_stats(t.dir)->waiting, 0);
}

static void find_other(void)
{
    assert_int_equal(find(&other, 1), TK_OK);
}

static void callers_may_ask_again(void **state)
{
    struct caller a = {.then = find_other};
    other = (struct caller){0};
    assert_int_equal(find(&a, 1), TK_OK);
    answer(0, NULL, 0);
    assert_int_equal(a.count, 1);
    assert_int_equal(other.count, 0);
    answer(0, (struct row[]){{ID(1), "x"}}, 1);
    assert_int_equal(other.err, TK_OK);
    assert_int_equal(a.count, 1);
}

static void close_directory(void)
{
    user_directory_close(t.dir);
    t.dir = NULL;
}

static void callers_may_close_the_directory(void **state)
{
    struct caller a = {.then = close_directory}, b = {0}, c = {0}, d = {0}, e = {0};
    assert_int_equal(find(&e, 5), TK_OK);
    assert_int_equal(find(&d, 4), TK_OK);
    assert_int_equal(find(&c, 1), TK_OK);
    assert_int_equal(find(&a, 1), TK_OK);
    assert_int_equal(find(&b, 2), TK_OK);
    answer(0, NULL, 0);
    assert_int_equal(e.count, 1);
    answer(0, (struct row[]){{ID(1), "x"}, {ID(2), "y"}}, 2);
    assert_int_equal(a.count, 1);
    assert_int_equal(b.count + c.count + d.count, 0); /* dropped silently */
    assert_true(t.link.is_closed);
}

static void callers_may_close_the_directory_at_their_deadline(void **state)
{
    struct caller a = {.then = close_directory}, b = {0};
    user_directory_close(t.dir);
    open_directory(10, 10);
    assert_int_equal(find(&a, 1), TK_OK);
    assert_int_equal(find(&b, 2), TK_OK);
    LOOP_WAIT(&t.loop, a.count == 1);
    assert_int_equal(b.count, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(known_users_are_found_and_remembered),
        TEST(unknown_users_are_remembered_too),
        TEST(equal_lookups_share_a_question),
        TEST(lookups_gather_while_connections_are_busy),
        TEST(rows_nobody_asked_for_are_ignored),
        TEST(callers_have_a_deadline_each),
        TEST(a_silent_database_is_a_timeout_for_all),
        TEST(too_many_waiting_are_refused),
        TEST(cancelled_lookups_are_not_called_and_not_asked),
        TEST(a_lost_connection_is_made_good_by_another),
        TEST(a_refused_statement_is_unavailable),
        TEST(lookups_wait_for_the_first_connect),
        TEST(a_database_known_to_be_away_fails_at_once),
        TEST(execute_may_fail_after_all),
        TEST(events_correct_the_caches),
        TEST(an_event_outdates_an_answer_under_way),
        TEST(callers_may_cancel_each_other),
        TEST(callers_may_ask_again),
        TEST(callers_may_close_the_directory),
        TEST(callers_may_close_the_directory_at_their_deadline),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
