/* SPDX-License-Identifier: MIT */
/* migrate: the database's schema, brought up to date or shown. */
#include <inttypes.h>
#include <stdlib.h>

#include "common/takoctl/migrator.h"
#include "common/takoctl/takoctl.h"
#include "common/takoctl/values.h"
#include "common/tk_install.h"
#include "common/tk_url.h"

enum { STATUS, WAIT }; /* places of the options */

#define DEFAULT_WAIT_S 60
#define MAX_WAIT_S     3600

static PGconn *open_database(const struct ctl *ctl)
{
    struct database_failure failure;
    PGconn *conn = NULL;
    char *conninfo;
    const char *why;

    if (tk_database_url(ctl->settings->database_url, &conninfo, &why) != TK_OK) {
        ctl_fail(ctl, "DATABASE_URL %s", why);
        return NULL;
    }
    enum tk_err err = database_open(conninfo, &conn, &failure);
    free(conninfo);
    if (!err)
        return conn;
    ctl_fail(ctl, "%s\nStart PostgreSQL, or set DATABASE_URL.", failure.text);
    ctl_hint_at_stack("DATABASE_URL");
    return NULL;
}

static enum tk_err load_migrations(const struct ctl *ctl, struct migration_list *list)
{
    const char *setting = ctl->settings->migrations_dir;
    char *directory = setting != NULL ? tk_xstrdup(setting)
                                      : tk_installed_file("sql/migrations", "sql/migrations");
    struct ctl_problem problem = {{0}};
    enum tk_err err = migration_list_load(directory, list, &problem);

    if (err)
        ctl_fail(ctl, "%s. TAKO_MIGRATIONS_DIR says where tako's migrations are.", problem.text);
    free(directory);
    return err;
}

static void on_done(void *arg, const char *line)
{
    (void)arg;
    printf("%s\n", line);
    fflush(stdout);
}

static void on_wait(void *arg, const char *line)
{
    const struct ctl *ctl = arg;

    fprintf(stderr, "takoctl %s: %s\n", ctl->command->name, line);
}

static int apply(const struct ctl *ctl, const struct migrator *m)
{
    struct database_failure failure;
    size_t applied;

    if (migrator_run(m, &applied, &failure) != TK_OK)
        return ctl_fail(ctl, "%s", failure.text);
    if (applied == 0)
        printf("nothing to do: all %zu migrations are applied\n", m->migrations->count);
    return CTL_OK;
}

static void print_state(void *arg, enum migration_state state, int64_t version,
                        const struct migration *migration, const char *applied_at)
{
    static const char *const words[] = {
        [MIGRATION_APPLIED] = "applied",
        [MIGRATION_PENDING] = "pending",
        [MIGRATION_FOREIGN] = "foreign",
    };

    (void)arg;
    printf("%-7s  %014" PRId64 "  %-19s  %s\n", words[state], version,
           applied_at[0] != '\0' ? applied_at : "-",
           migration != NULL ? migration->name : "(another program's, or a newer tako's)");
}

static int show_status(const struct ctl *ctl, const struct migrator *m)
{
    struct database_failure failure;

    if (migrator_status(m, print_state, NULL, &failure) != TK_OK)
        return ctl_fail(ctl, "%s", failure.text);
    return CTL_OK;
}

static int migrate(const struct ctl *ctl, bool wants_status, int64_t wait_s)
{
    struct migration_list migrations = {0};
    PGconn *conn = NULL;
    int status = CTL_FAILED;

    if (load_migrations(ctl, &migrations) == TK_OK)
        conn = open_database(ctl);
    if (conn != NULL) {
        const struct migrator m = {
            .conn = conn,
            .migrations = &migrations,
            .wait_ms = (int)wait_s * 1000,
            .on_done = on_done,
            .on_wait = on_wait,
            .arg = (void *)ctl,
        };
        status = wants_status ? show_status(ctl, &m) : apply(ctl, &m);
    }
    PQfinish(conn);
    migration_list_fini(&migrations);
    return status;
}

static int run_migrate(const struct ctl *ctl, const struct ctl_arguments *arguments)
{
    const char *wait = arguments->options[WAIT];
    int64_t wait_s = DEFAULT_WAIT_S;
    struct ctl_problem problem = {{0}};

    if (wait != NULL && ctl_parse_number("--wait", wait, MAX_WAIT_S, &wait_s, &problem))
        return ctl_refuse(ctl, &problem);
    return migrate(ctl, arguments->options[STATUS] != NULL, wait_s);
}

const struct ctl_command ctl_migrate = {
    .name = "migrate",
    .syntax =
        {.options = {[STATUS] = {.name = "status", .is_flag = true}, [WAIT] = {.name = "wait"}}},
    .needs = CTL_NEEDS_DATABASE | CTL_NEEDS_MIGRATIONS,
    .usage = "[--status] [--wait SECONDS]",
    .summary = "create or update the database's schema",
    .help = "Applies the migrations that the database has not seen. In an empty database that\n"
            "creates the schema; the database of the original tako is adopted as it is, with its\n"
            "data, and the original can go on using it. Running it again does nothing. Several at\n"
            "once do the work once: the others wait, 60 seconds unless --wait says otherwise.\n"
            "\n"
            "Needs a connection to PostgreSQL itself, or a pooler in session mode.\n"
            "\n"
            "With --status: changes nothing, and prints a line per migration: applied or pending,\n"
            "its version, when it was applied (UTC), its name. foreign are rows of\n"
            "schema_migrations that are not this tako's: the original's, or a newer tako's.\n"
            "\n"
            "  takoctl migrate\n"
            "  takoctl migrate --status\n",
    .run = run_migrate,
};
