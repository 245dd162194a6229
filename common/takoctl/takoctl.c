/* SPDX-License-Identifier: MIT */
/*
 * takoctl: what an operator does to a running tako. Finds the command in the table, reads the
 * settings it needs, and runs it; everything else is in the commands' own files.
 */
#include "common/takoctl/takoctl.h"

#include <signal.h>
#include <stdlib.h>

#include "common/tk_buf.h"
#include "common/tk_log.h"

static const struct ctl_command *const commands[] = {
    &ctl_broadcast, &ctl_message,  &ctl_ping,  &ctl_disconnect, &ctl_user_create,
    &ctl_user_show, &ctl_user_set, &ctl_nodes, &ctl_presence,   &ctl_migrate,
};

static const char introduction[] =
    "takoctl COMMAND ...: talks to a running tako.\n"
    "\n"
    "Commands (takoctl COMMAND --help explains each, with examples):\n"
    "\n";

static const char conclusion[] =
    "\n"
    "takoctl --help, --version and --check-config are there as in tako's other programs.\n"
    "\n"
    "Exit status: 0 done; 1 failed, because a service is away or there is no such user; 2 the\n"
    "command line or a setting is wrong, and nothing was done.\n"
    "\n"
    "A command reads only the settings it uses; its --help lists them.\n";

static void write_usage(struct tk_buf *out)
{
    tk_buf_append_str(out, introduction);
    for (size_t i = 0; i < TK_ARRAY_LEN(commands); i++) {
        const struct ctl_command *command = commands[i];
        struct tk_buf line = {0};

        tk_buf_appendf(&line, "%s %s", command->name, command->usage);
        tk_buf_appendf(out, "  %-47s %s\n", tk_buf_str(&line), command->summary);
        tk_buf_fini(&line);
    }
    tk_buf_append_str(out, conclusion);
}

static void print_usage(FILE *to)
{
    struct tk_buf text = {0};

    write_usage(&text);
    fputs(tk_buf_str(&text), to);
    tk_buf_fini(&text);
}

static void print_command_help(const struct ctl_command *command)
{
    struct tk_setting rows[CTL_MAX_SETTINGS];
    struct tk_settings_table table = ctl_settings_table(command->needs, rows);

    printf("usage: takoctl %s%s%s\n\n%s\n", command->name, command->usage[0] != '\0' ? " " : "",
           command->usage, command->help);
    tk_settings_print_help(&table, stdout);
}

/* How many of the words make up the command's name; 0: it is another command. */
static int match_name(const struct ctl_command *command, int argc, const char *const *argv)
{
    const char *rest = command->name;

    for (int used = 0; used < argc; rest++) {
        size_t len = strcspn(rest, " ");
        if (!tk_slice_eq_str(tk_slice(rest, len), argv[used++]))
            return 0;
        rest += len;
        if (*rest == '\0')
            return used;
    }
    return 0;
}

static const struct ctl_command *find_command(int argc, const char *const *argv, int *used)
{
    for (size_t i = 0; i < TK_ARRAY_LEN(commands); i++) {
        *used = match_name(commands[i], argc, argv);
        if (*used > 0)
            return commands[i];
    }
    return NULL;
}

/* For who knows half of a name such as "user show". */
static void suggest_commands(const char *first_word)
{
    for (size_t i = 0; i < TK_ARRAY_LEN(commands); i++) {
        const char *name = commands[i]->name;
        if (tk_slice_eq_str(tk_slice(name, strcspn(name, " ")), first_word))
            fprintf(stderr, "  takoctl %s %s\n", name, commands[i]->usage);
    }
}

static int run_command(const struct ctl_command *command, const struct ctl_arguments *arguments)
{
    struct tk_setting rows[CTL_MAX_SETTINGS];
    struct tk_settings_table table = ctl_settings_table(command->needs, rows);
    struct ctl_settings settings = {0};
    const struct ctl ctl = {.command = command, .settings = &settings};
    enum tk_log_level level = TK_LOG_INFO;
    int status = CTL_USAGE;

    enum tk_err err = tk_settings_load(&table, tk_settings_getenv, &settings, stderr);
    if (!err)
        err = tk_log_level_parse(settings.log_level, &level);
    if (!err) {
        tk_log_init(level, "takoctl");
        status = command->run(&ctl, arguments);
    } else if ((command->needs & CTL_NEEDS_DATABASE) != 0) {
        ctl_hint_at_stack("DATABASE_URL");
    }
    tk_settings_free(&table, &settings);
    return status;
}

static int dispatch(int argc, const char *const *argv)
{
    struct ctl_arguments arguments;
    struct ctl_problem problem = {{0}};
    int used = 0;

    const struct ctl_command *command = find_command(argc, argv, &used);
    if (command == NULL) {
        fprintf(stderr, "takoctl: there is no command \"%s%s%s\"; takoctl --help lists them\n",
                TK_ESCAPE(tk_slice_str(argv[0])), argc > 1 ? " " : "",
                argc > 1 ? TK_ESCAPE(tk_slice_str(argv[1])) : "");
        suggest_commands(argv[0]);
        return CTL_USAGE;
    }
    const struct ctl ctl = {.command = command};
    if (ctl_arguments_parse(&command->syntax, argc - used, argv + used, &arguments, &problem))
        return ctl_refuse(&ctl, &problem);
    if (arguments.wants_help) {
        print_command_help(command);
        return CTL_OK;
    }
    return run_command(command, &arguments);
}

/* The options that every tako program has, which stand alone. */
static bool is_common_option(const char *word)
{
    return word[0] == '-';
}

static int run_common_option(char **argv)
{
    struct tk_setting rows[CTL_MAX_SETTINGS];
    struct tk_settings_table table = ctl_settings_table(CTL_NEEDS_ALL, rows);
    struct tk_buf usage = {0};
    int status = CTL_USAGE;

    write_usage(&usage);
    if (!tk_settings_command_line(&table, sizeof(struct ctl_settings), NULL, tk_buf_str(&usage), 2,
                                  argv, &status))
        fprintf(stderr, "takoctl: there is no option \"%s\"; takoctl --help lists commands\n",
                TK_ESCAPE(tk_slice_str(argv[1])));
    tk_buf_fini(&usage);
    return status;
}

/* What could not be written (disk full, reader gone) was not said. */
static int finish_output(int status)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return status;
    fprintf(stderr, "takoctl: cannot write to standard output\n");
    return status == CTL_OK ? CTL_FAILED : status;
}

int main(int argc, char **argv)
{
    signal(SIGPIPE, SIG_IGN);
    tk_log_init(TK_LOG_INFO, "takoctl");
    if (argc < 2) {
        print_usage(stderr);
        return CTL_USAGE;
    }
    int status = is_common_option(argv[1]) ? run_common_option(argv)
                                           : dispatch(argc - 1, (const char *const *)argv + 1);
    return finish_output(status);
}
