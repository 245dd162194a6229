/* SPDX-License-Identifier: MIT */
/*
 * user create, user show, user set: the rules of the API (H44-H52), the API's own storage, and the
 * same news to the brokers afterwards. What is stored stays stored when the news cannot be sent:
 * then there is a warning and no failure, since repeating `user create` would make a second user.
 */
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <time.h>

#include "common/accounts/nickname.h"
#include "common/accounts/users.h"
#include "common/takoctl/publish.h"
#include "common/takoctl/values.h"
#include "common/tk_log.h"
#include "common/tk_url.h"

#define NICKNAME_MIN_ON_UPDATE 3 /* D1 */

enum { NICKNAME, STAMPS }; /* places of the options */

#define USER_OPTIONS                                                                               \
    {                                                                                              \
        [NICKNAME] = {.name = "nickname"}, [STAMPS] = {.name = "stamps" }                          \
    }

static struct users_db *open_database(const struct ctl *ctl)
{
    char *conninfo;
    const char *why;

    if (tk_database_url(ctl->settings->database_url, &conninfo, &why) != TK_OK) {
        ctl_fail(ctl, "DATABASE_URL %s", why);
        return NULL;
    }
    struct users_db *db = users_db_new(conninfo, (int)ctl->settings->database_timeout_ms);
    free(conninfo);
    return db;
}

/* The log line of the database link, which stands above, has the cause. */
static int explain_database(const struct ctl *ctl, enum tk_err err)
{
    switch (err) {
    case TK_ENOTFOUND:
        return ctl_fail(ctl, "there is no such user");
    case TK_EUNAVAIL:
    case TK_ETIMEOUT:
        ctl_fail(ctl, "the database is away or busy. Start PostgreSQL, or set DATABASE_URL.");
        ctl_hint_at_stack("DATABASE_URL");
        return CTL_FAILED;
    case TK_EINVAL:
        return ctl_fail(ctl, "the database cannot store this value");
    default:
        return ctl_fail(ctl, "the database refuses; is its schema there? takoctl migrate --status "
                             "tells");
    }
}

/* An empty nickname takes the name away (H48). text holds what changes->nickname points to. */
static int read_nickname(const struct ctl *ctl, const char *raw, unsigned min_length,
                         struct tk_buf *text, struct user_changes *changes)
{
    struct nickname_rules rules = {.min_length = min_length,
                                   .max_length = (unsigned)ctl->settings->nickname_max};
    struct profanity *list = NULL;
    struct nickname_problem why;
    struct ctl_problem problem = {{0}};
    char trouble[PATH_MAX + 64];

    if (ctl_check_text("nickname", raw, &problem))
        return ctl_refuse(ctl, &problem);
    if (profanity_open(ctl->settings->profanity_file, &list, trouble, sizeof(trouble))) {
        ctl_fail(ctl, "the word list cannot be used: %s. Set TAKO_PROFANITY_FILE, or none there.",
                 trouble);
        return CTL_FAILED;
    }
    rules.profanity = list;
    enum tk_err err = nickname_check(tk_slice_str(raw), &rules, text, &why);
    profanity_free(list);
    if (err) {
        ctl_fail(ctl, "%s", why.text);
        return CTL_USAGE;
    }
    changes->set_nickname = true;
    changes->nickname = text->len > 0 ? tk_buf_str(text) : NULL;
    return CTL_OK;
}

static int read_changes(const struct ctl *ctl, const struct ctl_arguments *arguments,
                        unsigned min_length, struct tk_buf *text, struct user_changes *changes)
{
    const char *nickname = arguments->options[NICKNAME];
    const char *stamps = arguments->options[STAMPS];
    struct ctl_problem problem = {{0}};

    *changes = (struct user_changes){0};
    if (stamps != NULL) {
        if (ctl_parse_number("--stamps", stamps, ctl->settings->stamps_max,
                             &changes->stamps_collected, &problem))
            return ctl_refuse(ctl, &problem);
        changes->set_stamps = true;
    }
    return nickname != NULL ? read_nickname(ctl, nickname, min_length, text, changes) : CTL_OK;
}

static void print_time(int64_t microseconds)
{
    time_t seconds = (time_t)(microseconds / 1000000);
    char text[64];
    struct tm tm;

    if (gmtime_r(&seconds, &tm) != NULL && strftime(text, sizeof(text), "%FT%TZ", &tm) > 0)
        printf("updated_at        %s\n", text);
}

/* Rows of the original may hold anything (H57). */
static void print_user(const struct user *user)
{
    char id[TK_UUID_LEN + 1], public_id[TK_PUBLIC_ID_LEN + 1];

    printf("id                %s\n", tk_uuid_format(&user->id, id));
    printf("public_id         %s\n", tk_public_id(&user->id, public_id));
    printf("nickname          ");
    if (user->nickname != NULL)
        ctl_print_text(stdout, tk_slice_str(user->nickname));
    else
        printf("none");
    if (user->has_stamps)
        printf("\nstamps_collected  %" PRId64 "\n", user->stamps_collected);
    else
        printf("\nstamps_collected  none\n");
    print_time(user->updated_us);
}

static void tell_brokers(const struct ctl *ctl, enum tk_user_event_kind kind,
                         const struct user *user)
{
    long long heard;

    if (!ctl_publish_user_event(ctl, kind, &user->id, user, &heard))
        ctl_warn(ctl, "the user is stored, but the brokers were not told; they find out by "
                      "themselves within TAKO_USER_CACHE_MS (a minute)");
}

static int run_create(const struct ctl *ctl, const struct ctl_arguments *arguments)
{
    struct users_db *db = NULL;
    struct tk_buf text = {0};
    struct user_changes values;
    struct user user = {0};

    int status = read_changes(ctl, arguments, 0, &text, &values);
    if (status != CTL_OK)
        goto out;
    status = CTL_FAILED;
    db = open_database(ctl);
    if (db == NULL)
        goto out;
    enum tk_err err = users_create(db, &values, &user);
    if (err) {
        status = explain_database(ctl, err);
        goto out;
    }
    print_user(&user);
    tell_brokers(ctl, TK_USER_CREATED, &user);
    status = CTL_OK;
out:
    user_fini(&user);
    users_db_free(db);
    tk_buf_fini(&text);
    return status;
}

const struct ctl_command ctl_user_create = {
    .name = "user create",
    .syntax = {.options = USER_OPTIONS},
    .needs = CTL_NEEDS_DATABASE | CTL_NEEDS_REDIS | CTL_NEEDS_USER_RULES,
    .usage = "[--nickname NAME] [--stamps N]",
    .summary = "register a user",
    .help = "Registers a user as the API would, tells the brokers, and prints the user. The id is\n"
            "what the user logs in with: treat it as a password.\n"
            "\n"
            "  takoctl user create --nickname Calm_Takodachi --stamps 3\n",
    .run = run_create,
};

static int run_show(const struct ctl *ctl, const struct ctl_arguments *arguments)
{
    struct user user = {0};
    struct ctl_problem problem = {{0}};
    struct tk_uuid id;

    if (ctl_parse_user_id(arguments->words[0], &id, &problem))
        return ctl_refuse(ctl, &problem);
    struct users_db *db = open_database(ctl);
    if (db == NULL)
        return CTL_FAILED;
    enum tk_err err = users_get(db, &id, &user);
    if (!err)
        print_user(&user);
    users_db_free(db);
    user_fini(&user);
    return err ? explain_database(ctl, err) : CTL_OK;
}

const struct ctl_command ctl_user_show = {
    .name = "user show",
    .syntax = {.words = 1},
    .needs = CTL_NEEDS_DATABASE,
    .usage = "USER_ID",
    .summary = "print a user",
    .help = "Prints a user as stored. public_id is the name under which other users see this one.\n"
            "\n"
            "  takoctl user show 01234567-89ab-4cde-8f01-23456789abcd\n",
    .run = run_show,
};

static int update_user(const struct ctl *ctl, const struct tk_uuid *id,
                       const struct user_changes *changes)
{
    struct user user = {0};
    bool changed = false;

    struct users_db *db = open_database(ctl);
    if (db == NULL)
        return CTL_FAILED;
    enum tk_err err = users_update(db, id, changes, &user, &changed);
    if (!err) {
        print_user(&user);
        if (changed)
            tell_brokers(ctl, TK_USER_UPDATED, &user);
    }
    users_db_free(db);
    user_fini(&user);
    return err ? explain_database(ctl, err) : CTL_OK;
}

static int run_set(const struct ctl *ctl, const struct ctl_arguments *arguments)
{
    struct user_changes changes;
    struct ctl_problem problem = {{0}};
    struct tk_buf text = {0};
    struct tk_uuid id;

    if (ctl_parse_user_id(arguments->words[0], &id, &problem))
        return ctl_refuse(ctl, &problem);
    int status = read_changes(ctl, arguments, NICKNAME_MIN_ON_UPDATE, &text, &changes);
    if (status == CTL_OK && !changes.set_nickname && !changes.set_stamps) {
        ctl_problem_set(&problem, "there is nothing to set: give --nickname, --stamps or both");
        status = ctl_refuse(ctl, &problem);
    }
    if (status == CTL_OK)
        status = update_user(ctl, &id, &changes);
    tk_buf_fini(&text);
    return status;
}

const struct ctl_command ctl_user_set = {
    .name = "user set",
    .syntax = {.words = 1, .options = USER_OPTIONS},
    .needs = CTL_NEEDS_DATABASE | CTL_NEEDS_REDIS | CTL_NEEDS_USER_RULES,
    .usage = "USER_ID [--nickname NAME] [--stamps N]",
    .summary = "change a user",
    .help = "Changes what is given, by the rules of the API, tells the brokers, and prints the\n"
            "user. An empty nickname takes the name away, and the user off the leaderboard.\n"
            "\n"
            "  takoctl user set 01234567-89ab-4cde-8f01-23456789abcd --stamps 10\n"
            "  takoctl user set 01234567-89ab-4cde-8f01-23456789abcd --nickname ''\n",
    .run = run_set,
};
