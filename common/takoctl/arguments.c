/* SPDX-License-Identifier: MIT */
/* Sorting a command line into words and options. */
#include "common/takoctl/arguments.h"

#include <stdarg.h>
#include <stdio.h>

#include "common/tk_log.h"

struct parser {
    const struct ctl_syntax *syntax;
    struct ctl_arguments *arguments;
    struct ctl_problem *problem;
    int words;
};

enum tk_err ctl_problem_set(struct ctl_problem *problem, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    vsnprintf(problem->text, sizeof(problem->text), fmt, args);
    va_end(args);
    return TK_EINVAL;
}

static enum tk_err take_word(struct parser *p, const char *word)
{
    if (p->words == p->syntax->words)
        return ctl_problem_set(p->problem,
                               "\"%s\" is one word too many; put text with blanks in quotes",
                               TK_ESCAPE(tk_slice_str(word)));
    p->arguments->words[p->words++] = word;
    return TK_OK;
}

/* The option's place in the syntax, or -1. */
static int find_option(const struct ctl_syntax *syntax, struct tk_slice name)
{
    for (int i = 0; i < CTL_MAX_OPTIONS; i++) {
        if (syntax->options[i].name != NULL && tk_slice_eq_str(name, syntax->options[i].name))
            return i;
    }
    return -1;
}

/* text is the option without its dashes, next the word behind it or NULL; *used_next tells. */
static enum tk_err take_option(struct parser *p, const char *text, const char *next,
                               bool *used_next)
{
    struct tk_slice name = tk_slice(text, strcspn(text, "="));
    const char *value = text[name.len] == '=' ? text + name.len + 1 : NULL;
    int place = find_option(p->syntax, name);

    *used_next = false;
    if (place < 0)
        return ctl_problem_set(p->problem,
                               "--%s is no option of it; write -- in front of words that begin "
                               "with a dash",
                               TK_ESCAPE(name));
    const struct ctl_option *option = &p->syntax->options[place];
    if (p->arguments->options[place] != NULL)
        return ctl_problem_set(p->problem, "--%s is given twice", option->name);
    if (option->is_flag && value != NULL)
        return ctl_problem_set(p->problem, "--%s takes no value", option->name);
    if (option->is_flag) {
        value = "";
    } else if (value == NULL) {
        if (next == NULL)
            return ctl_problem_set(p->problem, "--%s needs a value", option->name);
        value = next;
        *used_next = true;
    }
    p->arguments->options[place] = value;
    return TK_OK;
}

static bool is_help(const char *word)
{
    return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
}

enum tk_err ctl_arguments_parse(const struct ctl_syntax *syntax, int argc, const char *const *argv,
                                struct ctl_arguments *arguments, struct ctl_problem *problem)
{
    struct parser p = {.syntax = syntax, .arguments = arguments, .problem = problem};
    bool options_ended = false;
    enum tk_err err = TK_OK;

    *arguments = (struct ctl_arguments){0};
    for (int i = 0; i < argc && !err; i++) {
        const char *word = argv[i];
        bool used_next = false;

        if (options_ended || word[0] != '-' || word[1] == '\0') {
            err = take_word(&p, word);
        } else if (strcmp(word, "--") == 0) {
            options_ended = true;
        } else if (is_help(word)) {
            arguments->wants_help = true;
            return TK_OK;
        } else if (word[1] != '-') {
            err = ctl_problem_set(problem,
                                  "%s is no option of it; write -- in front of words that begin "
                                  "with a dash",
                                  TK_ESCAPE(tk_slice_str(word)));
        } else {
            err = take_option(&p, word + 2, i + 1 < argc ? argv[i + 1] : NULL, &used_next);
        }
        i += used_next;
    }
    if (!err && p.words < syntax->words)
        err = ctl_problem_set(problem, "%d more word%s needed", syntax->words - p.words,
                              syntax->words - p.words == 1 ? " is" : "s are");
    return err;
}
