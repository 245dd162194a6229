/* SPDX-License-Identifier: MIT */
/* presence: who is on a topic, as a table for people, or as JSON for programs. */
#include <time.h>

#include "common/takoctl/presence_list.h"
#include "common/takoctl/values.h"
#include "common/tk_buf.h"
#include "common/tk_json.h"
#include "common/tk_log.h"

enum { JSON }; /* place of the option */

/* What clients of the topic get as presence_state (C99). */
static void print_json(const struct presence_list *list)
{
    struct tk_buf out = {0};

    tk_buf_append_char(&out, '{');
    for (size_t i = 0; i < list->count; i++) {
        const struct presence_item *item = &list->items[i];
        if (i > 0 && tk_slice_eq(item->key, list->items[i - 1].key)) {
            tk_buf_append_char(&out, ',');
        } else {
            tk_buf_append_str(&out, i > 0 ? "]},\n " : "");
            tk_json_write_string(&out, item->key);
            tk_buf_append_str(&out, ":{\"metas\":[");
        }
        tk_buf_append_slice(&out, item->meta);
    }
    tk_buf_append_str(&out, list->count > 0 ? "]}}\n" : "}\n");
    fwrite(out.data, 1, out.len, stdout);
    tk_buf_fini(&out);
}

static void write_time(int64_t since_ms, char out[24])
{
    time_t seconds = (time_t)(since_ms / 1000);
    struct tm utc;

    snprintf(out, 24, "-");
    if (gmtime_r(&seconds, &utc) != NULL)
        strftime(out, 24, "%Y-%m-%dT%H:%M:%SZ", &utc);
}

static void print_nickname(struct tk_slice meta)
{
    static const struct tk_json_rules rules = {.max_depth = 80};
    struct tk_json_field nickname = {.name = "nickname"};
    struct tk_buf scratch = {0};

    if (tk_json_scan_object(meta, &rules, &nickname, 1) == TK_OK &&
        nickname.value.type == TK_JSON_STRING)
        ctl_print_text(stdout, tk_json_string_text(&nickname.value, &scratch));
    else
        printf("-");
    tk_buf_fini(&scratch);
}

static void print_table(const struct presence_list *list)
{
    size_t users = 0;

    if (list->count == 0) {
        printf("nobody is present\n");
        return;
    }
    printf("%-22s  %-20s  %-9s  %-28s  %s\n", "KEY", "SINCE", "STATE", "NODE", "NICKNAME");
    for (size_t i = 0; i < list->count; i++) {
        const struct presence_item *item = &list->items[i];
        char since[24];
        write_time(item->since_ms, since);
        printf("%-22s  %-20s  %-9s  %-28s  ", TK_ESCAPE(item->key), since,
               item->is_kept ? "lingering" : "here", TK_ESCAPE(item->node));
        print_nickname(item->meta);
        printf("\n");
        users += i == 0 || !tk_slice_eq(item->key, list->items[i - 1].key);
    }
    printf("%zu user%s, %zu presence%s\n", users, users == 1 ? "" : "s", list->count,
           list->count == 1 ? "" : "s");
}

static int run_presence(const struct ctl *ctl, const struct ctl_arguments *arguments)
{
    struct ctl_problem problem = {{0}};
    struct presence_list list;

    if (ctl_check_name("topic", arguments->words[0], &problem))
        return ctl_refuse(ctl, &problem);
    bool is_read = presence_list_read(ctl, arguments->words[0], &list);
    if (is_read && arguments->options[JSON] != NULL)
        print_json(&list);
    else if (is_read)
        print_table(&list);
    presence_list_free(&list);
    return is_read ? CTL_OK : CTL_FAILED;
}

const struct ctl_command ctl_presence = {
    .name = "presence",
    .syntax = {.words = 1, .options = {[JSON] = {.name = "json", .is_flag = true}}},
    .needs = CTL_NEEDS_REDIS,
    .usage = "TOPIC [--json]",
    .summary = "list who is present on a topic",
    .help =
        "Lists who is present on TOPIC, on all brokers: the public id under which others know a\n"
        "user, since when, on which broker worker, and the nickname. A user with several tabs\n"
        "is listed once for each. Who is lingering was sent away by a broker that stops, and is\n"
        "expected back.\n"
        "\n"
        "With --json: the object that clients of the topic get as presence_state.\n"
        "\n"
        "  takoctl presence room:lobby\n"
        "  takoctl presence room:lobby --json | jq length\n",
    .run = run_presence,
};
