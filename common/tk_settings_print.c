/* SPDX-License-Identifier: MIT */
/* What people see of the settings, all made from the rows: help, values in force, example file. */
#include <stdlib.h>

#include "common/tk_settings.h"

#define HELP_COLUMNS    92
#define EXAMPLE_COLUMNS 100

/* text in lines of at most columns, each after indent; \n in the text begins a new line. */
static void print_wrapped(FILE *to, const char *indent, size_t columns, const char *text)
{
    size_t room = columns - strlen(indent);

    while (*text != '\0') {
        size_t len = strcspn(text, "\n");
        if (len > room) {
            size_t fits = room;
            while (fits > 0 && text[fits] != ' ')
                fits--;
            /* A word longer than a line stays whole. */
            len = fits > 0 ? fits : strcspn(text, " \n");
        }
        fprintf(to, "%s%.*s\n", indent, (int)len, text);
        text += len;
        if (*text != '\0')
            text++; /* the blank or line end that became the break */
    }
}

static bool is_required(const struct tk_setting *row)
{
    return (row->flags & TK_SETTING_REQUIRED) != 0;
}

static bool is_secret(const struct tk_setting *row)
{
    return (row->flags & TK_SETTING_SECRET) != 0;
}

void tk_settings_print_help(const struct tk_settings_table *table, FILE *to)
{
    fprintf(to, "Settings (environment variables, with their defaults):\n");
    for (size_t i = 0; i < table->count; i++) {
        const struct tk_setting *row = &table->rows[i];

        fprintf(to, "\n  %s=%s", row->name, row->default_value != NULL ? row->default_value : "");
        if (row->type == TK_SETTING_INT)
            fprintf(to, "  (%lld to %lld)", (long long)row->min, (long long)row->max);
        if (is_required(row))
            fprintf(to, "  (required)");
        fprintf(to, "\n");
        print_wrapped(to, "      ", HELP_COLUMNS, row->help);
    }
}

static void print_list(const struct tk_string_list *list, FILE *to)
{
    for (size_t i = 0; i < list->count; i++)
        fprintf(to, "%s%s", i > 0 ? "," : "", list->items[i]);
}

static bool is_set(const struct tk_setting *row, const void *member)
{
    if (row->type == TK_SETTING_LIST)
        return ((const struct tk_string_list *)member)->count > 0;
    return *(char *const *)member != NULL;
}

static void print_value(const struct tk_setting *row, const void *member, FILE *to)
{
    switch (row->type) {
    case TK_SETTING_INT:
        fprintf(to, "%lld", (long long)*(const int64_t *)member);
        break;
    case TK_SETTING_BOOL:
        fprintf(to, "%d", *(const bool *)member);
        break;
    case TK_SETTING_LIST:
        print_list(member, to);
        break;
    default:
        fprintf(to, "%s", is_set(row, member) ? *(char *const *)member : "");
    }
}

void tk_settings_print_values(const struct tk_settings_table *table, const void *settings, FILE *to)
{
    for (size_t i = 0; i < table->count; i++) {
        const struct tk_setting *row = &table->rows[i];
        const void *member = (const char *)settings + row->offset;

        fprintf(to, "%s=", row->name);
        if (is_secret(row))
            fprintf(to, "%s", is_set(row, member) ? "(set)" : "(not set)");
        else
            print_value(row, member, to);
        fprintf(to, "\n");
    }
}

/* What the operator has to fill in stands ready to be filled in; the rest shows its default. */
void tk_settings_print_example(const struct tk_settings_table *table, FILE *to)
{
    for (size_t i = 0; i < table->count; i++) {
        const struct tk_setting *row = &table->rows[i];
        const char *value = row->default_value != NULL ? row->default_value : "";
        bool to_fill_in = *value == '\0' && (is_required(row) || is_secret(row));

        if (i > 0)
            fprintf(to, "\n");
        print_wrapped(to, "# ", EXAMPLE_COLUMNS, row->help);
        if (row->type == TK_SETTING_INT)
            fprintf(to, "# %lld to %lld.\n", (long long)row->min, (long long)row->max);
        if (is_required(row))
            fprintf(to, "# Required.\n");
        fprintf(to, "%s%s=%s\n", to_fill_in ? "" : "#", row->name, value);
    }
}

static int check_config(const struct tk_settings_table *table, size_t size,
                        tk_settings_check_fn check)
{
    void *settings = tk_xcalloc(1, size);
    enum tk_err err = tk_settings_load(table, tk_settings_getenv, settings, stderr);

    if (!err && check != NULL)
        err = check(settings);
    if (!err)
        tk_settings_print_values(table, settings, stdout);
    tk_settings_free(table, settings);
    free(settings);
    return err ? 2 : 0;
}

bool tk_settings_command_line(const struct tk_settings_table *table, size_t size,
                              tk_settings_check_fn check, const char *usage, int argc, char **argv,
                              int *status)
{
    for (int i = 1; i < argc; i++) {
        const char *word = argv[i];

        *status = 0;
        if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) {
            printf("%s\n", usage);
            tk_settings_print_help(table, stdout);
            return true;
        }
        if (strcmp(word, "--version") == 0) {
            printf("%s %s\n", table->program, TAKO_VERSION);
            return true;
        }
        if (strcmp(word, "--env-example") == 0) {
            tk_settings_print_example(table, stdout);
            return true;
        }
        if (strcmp(word, "--check-config") == 0) {
            *status = check_config(table, size, check);
            return true;
        }
    }
    return false;
}
