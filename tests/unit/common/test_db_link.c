/* SPDX-License-Identifier: MIT */
/* Where database errors lead (H92, H93), without a database. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/accounts/db_link.h"
#include "common/tk_log.h"

static const struct db_statement statement = {"one", "SELECT 1", 0, 0};

static void expect(const char *sqlstate, enum tk_err err, bool try_again, bool reconnect)
{
    struct db_verdict verdict = db_verdict_of(sqlstate);

    if (verdict.err != err || verdict.try_again != try_again || verdict.reconnect != reconnect)
        fail_msg("%s", sqlstate != NULL ? sqlstate : "(none)");
}

/* H93 */
static void values_the_database_refuses(void **state)
{
    expect("22021", TK_EINVAL, false, false);
    expect("22P05", TK_EINVAL, false, false);
    expect("22003", TK_EINVAL, false, false);
}

/* H93 */
static void what_has_surely_not_happened_is_tried_again(void **state)
{
    expect("40001", TK_EUNAVAIL, true, false);
    expect("40P01", TK_EUNAVAIL, true, false);
    expect("26000", TK_EUNAVAIL, true, true);
    expect("0A000", TK_EIO, true, true);
}

/* H92, H93: a lost connection, and nobody knows whether the statement was carried out. */
static void what_may_have_happened_is_not(void **state)
{
    expect(NULL, TK_EUNAVAIL, false, true);
    expect("08006", TK_EUNAVAIL, false, true);
    expect("57P01", TK_EUNAVAIL, false, true);
    expect("57P03", TK_EUNAVAIL, false, true);
    expect("53300", TK_EUNAVAIL, false, true);
    expect("57014", TK_EUNAVAIL, false, false);
}

/* H93 */
static void the_rest_is_our_own_fault(void **state)
{
    expect("42P01", TK_EIO, false, true);
    expect("23505", TK_EIO, false, true);
    expect("53100", TK_EIO, false, true);
}

/* A refused connection is tried again every time, without holding off. */
static void nobody_there_is_unavailable(void **state)
{
    struct db_link *link = db_link_new("host=/nonexistent dbname=x", 1000);
    PGresult *result = NULL;

    for (int i = 0; i < 3; i++)
        assert_int_equal(db_link_run(link, &statement, NULL, &result), TK_EUNAVAIL);
    assert_null(result);
    db_link_free(link);
    db_link_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_the_database_refuses),
        cmocka_unit_test(what_has_surely_not_happened_is_tried_again),
        cmocka_unit_test(what_may_have_happened_is_not),
        cmocka_unit_test(the_rest_is_our_own_fault),
        cmocka_unit_test(nobody_there_is_unavailable),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
