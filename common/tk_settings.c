/* SPDX-License-Identifier: MIT */
/*
 * Reading settings from the environment into a program's struct. Every row is tried, so that one
 * run reports all mistakes. A value that is set is checked; a default that does not parse is our
 * own mistake. Not here: printing (tk_settings_print.c).
 */
#include "common/tk_settings.h"

#include <errno.h>
#include <stdlib.h>
#include <strings.h>

#include "common/tk_log.h"
#include "common/tk_url.h"

/* What is wrong with a value and what would be right, for the end of an error line. */
struct problem {
    char text[200];
};

static void *member(const struct tk_setting *row, void *settings)
{
    return (char *)settings + row->offset;
}

static enum tk_err parse_int(const struct tk_setting *row, const char *value, void *to,
                             struct problem *problem)
{
    const char *digits = value + (*value == '-');
    char *end;

    errno = 0;
    long long number = strtoll(value, &end, 10);
    if (*digits < '0' || *digits > '9' || *end != '\0') {
        snprintf(problem->text, sizeof(problem->text),
                 "is not a whole number, must be one between %lld and %lld", (long long)row->min,
                 (long long)row->max);
        return TK_EINVAL;
    }
    if (errno == ERANGE || number < row->min || number > row->max) {
        snprintf(problem->text, sizeof(problem->text),
                 "is out of range, must be between %lld and %lld", (long long)row->min,
                 (long long)row->max);
        return TK_EINVAL;
    }
    *(int64_t *)to = number;
    return TK_OK;
}

static enum tk_err parse_bool(const struct tk_setting *row, const char *value, void *to,
                              struct problem *problem)
{
    static const char *const words[][2] = {
        {"0", "1"}, {"false", "true"}, {"no", "yes"}, {"off", "on"}};

    for (size_t i = 0; i < TK_ARRAY_LEN(words); i++) {
        for (int is_on = 0; is_on < 2; is_on++) {
            if (strcasecmp(value, words[i][is_on]) == 0) {
                *(bool *)to = is_on;
                return TK_OK;
            }
        }
    }
    snprintf(problem->text, sizeof(problem->text),
             "is neither yes nor no, must be one of 1 0 true false yes no on off");
    return TK_EINVAL;
}

static enum tk_err parse_string(const struct tk_setting *row, const char *value, void *to,
                                struct problem *problem)
{
    *(char **)to = tk_xstrdup(value);
    return TK_OK;
}

static enum tk_err parse_list(const struct tk_setting *row, const char *value, void *to,
                              struct problem *problem)
{
    static const char blanks[] = " \t";
    struct tk_string_list *list = to;

    while (*value != '\0') {
        size_t len = strcspn(value, ",");
        const char *first = value + strspn(value, blanks);
        const char *end = value + len;
        while (end > first && strchr(blanks, end[-1]) != NULL)
            end--;
        if (end > first) {
            list->items = tk_xrealloc(list->items, (list->count + 1) * sizeof(*list->items));
            list->items[list->count++] = tk_xstrndup(first, (size_t)(end - first));
        }
        value += len + (value[len] == ',');
    }
    return TK_OK;
}

static enum tk_err parse_log_level(const struct tk_setting *row, const char *value, void *to,
                                   struct problem *problem)
{
    enum tk_log_level level;

    if (tk_log_level_parse(value, &level)) {
        snprintf(problem->text, sizeof(problem->text),
                 "is no log level, must be one of error warn info debug");
        return TK_EINVAL;
    }
    return parse_string(row, value, to, problem);
}

static enum tk_err parse_database_url(const struct tk_setting *row, const char *value, void *to,
                                      struct problem *problem)
{
    char *conninfo;
    const char *why;

    if (tk_database_url(value, &conninfo, &why)) {
        snprintf(problem->text, sizeof(problem->text), "%s", why);
        return TK_EINVAL;
    }
    free(conninfo);
    return parse_string(row, value, to, problem);
}

static enum tk_err parse_redis_url(const struct tk_setting *row, const char *value, void *to,
                                   struct problem *problem)
{
    struct tk_redis_address address;
    const char *why;

    if (tk_redis_url(value, &address, &why)) {
        snprintf(problem->text, sizeof(problem->text), "%s", why);
        return TK_EINVAL;
    }
    tk_redis_address_fini(&address);
    return parse_string(row, value, to, problem);
}

typedef enum tk_err (*parse_fn)(const struct tk_setting *row, const char *value, void *to,
                                struct problem *problem);

static const parse_fn parsers[] = {
    [TK_SETTING_STRING] = parse_string,       [TK_SETTING_INT] = parse_int,
    [TK_SETTING_BOOL] = parse_bool,           [TK_SETTING_LIST] = parse_list,
    [TK_SETTING_LOG_LEVEL] = parse_log_level, [TK_SETTING_DATABASE_URL] = parse_database_url,
    [TK_SETTING_REDIS_URL] = parse_redis_url,
};

const char *tk_settings_getenv(const char *name)
{
    return getenv(name);
}

/* An empty value counts as unset: "NAME=" in an environment file is how one leaves it open. */
static const char *value_of(const struct tk_setting *row, tk_getenv_fn env)
{
    const char *value = env(row->name);

    return value != NULL && *value != '\0' ? value : NULL;
}

static void set_default(const struct tk_setting *row, void *settings)
{
    struct problem problem;

    if (row->default_value != NULL) {
        enum tk_err err =
            parsers[row->type](row, row->default_value, member(row, settings), &problem);
        tk_assert(err == TK_OK);
    }
}

/* Without quoting a secret, which may be a URL with a password in it. */
static void report(const struct tk_settings_table *table, const struct tk_setting *row,
                   const char *value, const char *problem, FILE *errors)
{
    fprintf(errors, "%s: %s: ", table->program, row->name);
    if (row->flags & TK_SETTING_SECRET)
        fprintf(errors, "the value %s\n", problem);
    else
        fprintf(errors, "\"%s\" %s\n", TK_ESCAPE(tk_slice_str(value)), problem);
}

static const struct tk_setting *find_dev_row(const struct tk_settings_table *table)
{
    for (size_t i = 0; i < table->count; i++) {
        if (strcmp(table->rows[i].name, "TAKO_DEV") == 0 && table->rows[i].type == TK_SETTING_BOOL)
            return &table->rows[i];
    }
    return NULL;
}

/* Needed before the rows are read in their order. A bad value is reported when its turn comes. */
static bool is_dev(const struct tk_settings_table *table, tk_getenv_fn env)
{
    const struct tk_setting *row = find_dev_row(table);
    const char *value = row != NULL ? value_of(row, env) : NULL;
    struct problem problem;
    bool on = false;

    return value != NULL && parse_bool(row, value, &on, &problem) == TK_OK && on;
}

static bool is_missing(const struct tk_setting *row, void *settings)
{
    const struct tk_string_list *list;

    if (!(row->flags & TK_SETTING_REQUIRED))
        return false;
    switch (row->type) {
    case TK_SETTING_INT:
    case TK_SETTING_BOOL:
        return false;
    case TK_SETTING_LIST:
        list = member(row, settings);
        return list->count == 0;
    default:
        return *(char **)member(row, settings) == NULL;
    }
}

static enum tk_err load_row(const struct tk_settings_table *table, const struct tk_setting *row,
                            tk_getenv_fn env, bool dev, void *settings, FILE *errors)
{
    struct problem problem;
    const char *value = value_of(row, env);

    if (value == NULL) {
        set_default(row, settings);
    } else if (parsers[row->type](row, value, member(row, settings), &problem)) {
        report(table, row, value, problem.text, errors);
        return TK_EINVAL;
    }
    if (is_missing(row, settings) && !dev) {
        fprintf(errors, "%s: %s: is required and not set%s\n", table->program, row->name,
                find_dev_row(table) != NULL ? " (TAKO_DEV=1 does without, for development)" : "");
        return TK_EINVAL;
    }
    return TK_OK;
}

enum tk_err tk_settings_load(const struct tk_settings_table *table, tk_getenv_fn env, void *out,
                             FILE *errors)
{
    bool dev = is_dev(table, env);
    enum tk_err result = TK_OK;

    for (size_t i = 0; i < table->count; i++) {
        if (load_row(table, &table->rows[i], env, dev, out, errors))
            result = TK_EINVAL;
    }
    return result;
}

static void free_list(struct tk_string_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->items[i]);
    free(list->items);
    *list = (struct tk_string_list){0};
}

void tk_settings_free(const struct tk_settings_table *table, void *settings)
{
    for (size_t i = 0; i < table->count; i++) {
        const struct tk_setting *row = &table->rows[i];
        char **string;

        switch (row->type) {
        case TK_SETTING_INT:
        case TK_SETTING_BOOL:
            break;
        case TK_SETTING_LIST:
            free_list(member(row, settings));
            break;
        default:
            string = member(row, settings);
            free(*string);
            *string = NULL;
        }
    }
}
