/* SPDX-License-Identifier: MIT */
/* nodes: the broker workers as a table for people, or as JSON for programs. */
#include <inttypes.h>

#include "common/takoctl/node_list.h"
#include "common/tk_buf.h"
#include "common/tk_json.h"
#include "common/tk_log.h"

enum { JSON }; /* place of the option */

static void write_json_text(struct tk_buf *out, struct tk_slice text)
{
    if (text.ptr != NULL && tk_utf8_valid(text))
        tk_json_write_string(out, text);
    else
        tk_buf_append_str(out, "null");
}

static void write_json_ms(struct tk_buf *out, const char *name, int64_t ms)
{
    if (ms >= 0)
        tk_buf_appendf(out, ",\"%s\":%" PRId64, name, ms);
    else
        tk_buf_appendf(out, ",\"%s\":null", name);
}

static void write_json_node(struct tk_buf *out, const struct node_entry *node)
{
    tk_buf_append_str(out, "{\"node\":");
    write_json_text(out, node->id);
    for (int f = 0; f < NODE_FIELDS; f++) {
        tk_buf_appendf(out, ",\"%s\":", node_field_kinds[f].name);
        if (!node_field_kinds[f].is_number)
            write_json_text(out, node->text[f]);
        else if (node->number[f] >= 0)
            tk_buf_appendf(out, "%" PRId64, node->number[f]);
        else
            tk_buf_append_str(out, "null");
    }
    write_json_ms(out, "lease_ms", node->lease_ms);
    write_json_ms(out, "lease_age_ms", node_entry_age_ms(node));
    tk_buf_append_char(out, '}');
}

static void print_json(const struct node_list *list)
{
    struct tk_buf out = {0};

    for (size_t i = 0; i < list->count; i++) {
        tk_buf_append_str(&out, i == 0 ? "[" : ",\n ");
        write_json_node(&out, list->items[i]);
    }
    tk_buf_append_str(&out, list->count == 0 ? "[]\n" : "]\n");
    fwrite(out.data, 1, out.len, stdout);
    tk_buf_fini(&out);
}

/* The columns of the table: the id, then these fields, then the lease's age and what is left. */
static const struct {
    const char *title;
    enum node_field field;
} columns[] = {
    {"BROKER", NODE_BROKER},   {"WORKER", NODE_WORKER},         {"PID", NODE_PID},
    {"PORT", NODE_PORT},       {"STATE", NODE_STATE},           {"CONNECTIONS", NODE_CONNECTIONS},
    {"TOPICS", NODE_TOPICS},   {"QUEUE PEAK", NODE_QUEUE_PEAK}, {"REDIS PEAK", NODE_REDIS_PEAK},
    {"VERSION", NODE_VERSION},
};

#define COLUMNS (TK_ARRAY_LEN(columns) + 3)

struct cell {
    char text[136];
};

static void write_seconds(struct cell *cell, int64_t ms, const char *unknown)
{
    if (ms >= 0)
        snprintf(cell->text, sizeof(cell->text), "%" PRId64 ".%" PRId64 "s", ms / 1000,
                 ms % 1000 / 100);
    else
        snprintf(cell->text, sizeof(cell->text), "%s", unknown);
}

static void write_text(struct cell *cell, const char *text)
{
    snprintf(cell->text, sizeof(cell->text), "%s", text);
}

static void write_heading(struct cell cells[COLUMNS])
{
    write_text(&cells[0], "NODE");
    for (size_t c = 0; c < TK_ARRAY_LEN(columns); c++)
        write_text(&cells[c + 1], columns[c].title);
    write_text(&cells[COLUMNS - 2], "AGE");
    write_text(&cells[COLUMNS - 1], "LEASE");
}

static void write_node(const struct node_entry *node, struct cell cells[COLUMNS])
{
    write_text(&cells[0], TK_ESCAPE(node->id));
    for (size_t c = 0; c < TK_ARRAY_LEN(columns); c++) {
        struct tk_slice text = node->text[columns[c].field];
        write_text(&cells[c + 1], text.ptr != NULL ? TK_ESCAPE(text) : "-");
    }
    write_seconds(&cells[COLUMNS - 2], node_entry_age_ms(node), "-");
    write_seconds(&cells[COLUMNS - 1], node->lease_ms, "none");
}

static void measure(const struct cell cells[COLUMNS], int widths[COLUMNS])
{
    for (size_t c = 0; c < COLUMNS; c++) {
        int width = (int)strlen(cells[c].text);
        widths[c] = width > widths[c] ? width : widths[c];
    }
}

static void print_row(const struct cell cells[COLUMNS], const int widths[COLUMNS])
{
    for (size_t c = 0; c + 1 < COLUMNS; c++)
        printf("%-*s  ", widths[c], cells[c].text);
    printf("%s\n", cells[COLUMNS - 1].text);
}

static void print_table(const struct node_list *list)
{
    struct cell cells[COLUMNS];
    int widths[COLUMNS] = {0};

    if (list->count == 0) {
        printf("no broker is running, or none is connected to this Redis\n");
        return;
    }
    write_heading(cells);
    measure(cells, widths);
    for (size_t i = 0; i < list->count; i++) {
        write_node(list->items[i], cells);
        measure(cells, widths);
    }
    write_heading(cells);
    print_row(cells, widths);
    for (size_t i = 0; i < list->count; i++) {
        write_node(list->items[i], cells);
        print_row(cells, widths);
    }
}

static int run_nodes(const struct ctl *ctl, const struct ctl_arguments *arguments)
{
    struct node_list *list = node_list_read(ctl);

    if (list == NULL)
        return CTL_FAILED;
    if (arguments->options[JSON] != NULL)
        print_json(list);
    else
        print_table(list);
    node_list_free(list);
    return CTL_OK;
}

const struct ctl_command ctl_nodes = {
    .name = "nodes",
    .syntax = {.options = {[JSON] = {.name = "json", .is_flag = true}}},
    .needs = CTL_NEEDS_REDIS,
    .usage = "[--json]",
    .summary = "list the broker workers",
    .help =
        "Lists the workers of all brokers, as each has described itself in Redis. A worker\n"
        "renews its lease all the time; one that died is gone when the lease has run out.\n"
        "\n"
        "AGE is how long ago that was, LEASE what is left of it. QUEUE PEAK and REDIS PEAK\n"
        "are the most bytes that ever waited for one client, and for Redis, to read them.\n"
        "\n"
        "With --json: an array of objects with node, broker, worker, pid, port, state (up or\n"
        "draining), connections, topics, version, incarnation, lease (its length), lease_ms\n"
        "(what is left of it), lease_age_ms; since the worker started: queue_peak and\n"
        "redis_peak (most bytes that waited for one client, and for Redis), handshakes_peak and\n"
        "lookups_peak (most connections that were no websocket yet, and of them those that\n"
        "waited for PostgreSQL), statements (of lookups), refused (upgrades). null for what is\n"
        "not known.\n"
        "\n"
        "  takoctl nodes\n"
        "  takoctl nodes --json | jq 'map(.connections) | add'\n",
    .run = run_nodes,
};
