/* SPDX-License-Identifier: MIT */
/*
 * broadcast, message, ping, disconnect: what the original's operators did from its console (C97).
 * Each is one PUBLISH in the form of common/envelope.h.
 */
#include "common/envelope.h"
#include "common/takoctl/publish.h"
#include "common/takoctl/values.h"
#include "common/tk_json.h"

static void say_who_heard(long long heard, const char *nobody)
{
    if (heard == 0)
        printf("sent, but no broker worker heard it: %s\n", nobody);
    else
        printf("sent; %lld broker worker%s heard it\n", heard, heard == 1 ? "" : "s");
}

static int publish(const struct ctl *ctl, const char *topic, const char *event,
                   struct tk_slice payload)
{
    struct tk_buf channel = {0}, message = {0};
    long long heard = 0;

    tk_buf_appendf(&channel, "%s%s", TK_CHANNEL_TOPIC_PREFIX, topic);
    tk_envelope_write(&message, NULL, NULL, tk_slice_str(topic), tk_slice_str(event), payload);
    bool is_done = ctl_publish(ctl, tk_buf_slice(&channel), tk_buf_slice(&message), &heard);
    if (is_done)
        say_who_heard(heard, "nobody is on the topic now, and messages are not kept");
    tk_buf_fini(&channel);
    tk_buf_fini(&message);
    return is_done ? CTL_OK : CTL_FAILED;
}

static int run_broadcast(const struct ctl *ctl, const struct ctl_arguments *arguments)
{
    enum { TOPIC, EVENT, PAYLOAD };
    const char *const *words = arguments->words;
    struct ctl_problem problem = {{0}};

    if (ctl_check_name("topic", words[TOPIC], &problem) ||
        ctl_check_name("event", words[EVENT], &problem) ||
        ctl_check_payload(words[PAYLOAD], &problem))
        return ctl_refuse(ctl, &problem);
    return publish(ctl, words[TOPIC], words[EVENT], tk_slice_str(words[PAYLOAD]));
}

const struct ctl_command ctl_broadcast = {
    .name = "broadcast",
    .syntax = {.words = 3},
    .needs = CTL_NEEDS_REDIS,
    .usage = "TOPIC EVENT JSON",
    .summary = "send an event to everybody on a topic",
    .help =
        "Sends an event to everybody who has joined TOPIC, on all brokers. JSON must be an object\n"
        "and reaches the clients as it is written here. TOPIC and EVENT have 1 to 255 bytes.\n"
        "\n"
        "Says how many broker workers heard it: those that have somebody on the topic. None is no\n"
        "failure.\n"
        "\n"
        "  takoctl broadcast notifications shout '{\"hello\":\"all\"}'\n"
        "  takoctl broadcast room:lobby news '{\"text\":\"doors open at 10\"}'\n",
    .run = run_broadcast,
};

/* {"user_id":U,"message":M}: the broker finds the user by the one, the page shows the other (C94).
 */
static void write_message(struct tk_buf *out, const struct tk_uuid *id, const char *text)
{
    char id_text[TK_UUID_LEN + 1];

    tk_buf_appendf(out, "{\"user_id\":\"%s\",\"message\":", tk_uuid_format(id, id_text));
    tk_json_write_string(out, tk_slice_str(text));
    tk_buf_append_char(out, '}');
}

static int run_message(const struct ctl *ctl, const struct ctl_arguments *arguments)
{
    enum { USER_ID, TEXT };
    struct tk_buf payload = {0};
    struct ctl_problem problem = {{0}};
    struct tk_uuid id;

    if (ctl_parse_user_id(arguments->words[USER_ID], &id, &problem) ||
        ctl_check_text("text", arguments->words[TEXT], &problem))
        return ctl_refuse(ctl, &problem);
    write_message(&payload, &id, arguments->words[TEXT]);
    int status = publish(ctl, "notifications", "msg", tk_buf_slice(&payload));
    tk_buf_fini(&payload);
    return status;
}

const struct ctl_command ctl_message = {
    .name = "message",
    .syntax = {.words = 2},
    .needs = CTL_NEEDS_REDIS,
    .usage = "USER_ID TEXT",
    .summary = "send one user a text",
    .help =
        "Sends TEXT to all connections of one user: event msg on the topic notifications. Nobody\n"
        "else gets it. The workers that heard it are those with anybody on the topic; whether "
        "this\n"
        "user is connected is not known here.\n"
        "\n"
        "  takoctl message 01234567-89ab-4cde-8f01-23456789abcd 'Come to booth 7'\n",
    .run = run_message,
};

static int run_ping(const struct ctl *ctl, const struct ctl_arguments *arguments)
{
    return publish(ctl, "notifications", "ping", TK_SLICE("{\"msg\":\"ping\"}"));
}

const struct ctl_command ctl_ping = {
    .name = "ping",
    .needs = CTL_NEEDS_REDIS,
    .usage = "",
    .summary = "have every page answer with a pong",
    .help = "Broadcasts ping {\"msg\":\"ping\"} on the topic notifications; every page pushes a\n"
            "pong back to its broker.\n"
            "\n"
            "  takoctl ping\n",
    .run = run_ping,
};

static int run_disconnect(const struct ctl *ctl, const struct ctl_arguments *arguments)
{
    struct ctl_problem problem = {{0}};
    struct tk_uuid id;
    long long heard = 0;

    if (ctl_parse_user_id(arguments->words[0], &id, &problem))
        return ctl_refuse(ctl, &problem);
    if (!ctl_publish_user_event(ctl, TK_USER_DISCONNECT, &id, NULL, &heard))
        return CTL_FAILED;
    say_who_heard(heard, "no broker is connected to this Redis");
    return CTL_OK;
}

const struct ctl_command ctl_disconnect = {
    .name = "disconnect",
    .syntax = {.words = 1},
    .needs = CTL_NEEDS_REDIS,
    .usage = "USER_ID",
    .summary = "close one user's connections",
    .help = "Closes all connections of one user, on all brokers. The user stays; the page comes\n"
            "back by itself.\n"
            "\n"
            "  takoctl disconnect 01234567-89ab-4cde-8f01-23456789abcd\n",
    .run = run_disconnect,
};
