/* SPDX-License-Identifier: MIT */
/*
 * The stamp rally's channel (C87-C98): what one visitor collects or completes, all see; `msg`
 * reaches one user only; `ping` goes both ways.
 */
#include "broker/channels/channels.h"

static enum tk_err notifications_handle_in(struct channel *ch, const struct phx_msg *msg);
static enum tk_err notifications_handle_out(struct channel *ch, struct tk_slice event,
                                            const struct phx_payload *payload);
static enum tk_err notifications_addressee(struct tk_slice event, const struct phx_payload *payload,
                                           struct tk_uuid *user);

const struct channel_module notifications_channel = {
    .topic = "notifications",
    .intercepts = (const char *const[]){"msg", NULL},
    .handle_in = notifications_handle_in,
    .handle_out = notifications_handle_out,
    .addressee = notifications_addressee,
};

static const struct tk_json_rules payload_rules = {.max_depth = TK_JSON_MAX_DEPTH};

/* Broadcasts {"nickname":X} with the X that was sent, other members dropped (C88, C89). */
static enum tk_err broadcast_nickname(struct channel *ch, const struct phx_msg *msg,
                                      struct tk_slice event)
{
    struct tk_json_field nickname = {.name = "nickname"};
    if (msg->payload.is_binary ||
        tk_json_scan_object(msg->payload.bytes, &payload_rules, &nickname, 1) ||
        nickname.value.type == TK_JSON_NONE)
        return TK_EINVAL;
    struct tk_buf json = {0};
    tk_buf_append_str(&json, "{\"nickname\":");
    tk_buf_append_slice(&json, nickname.value.raw);
    tk_buf_append_char(&json, '}');
    struct phx_payload payload = channel_object(tk_buf_slice(&json));
    channel_broadcast(ch, event, &payload);
    tk_buf_fini(&json);
    return TK_OK;
}

static enum tk_err notifications_handle_in(struct channel *ch, const struct phx_msg *msg)
{
    if (tk_slice_eq_str(msg->event, "collected"))
        return broadcast_nickname(ch, msg, TK_SLICE("collected-broadcast"));
    if (tk_slice_eq_str(msg->event, "rally-completed"))
        return broadcast_nickname(ch, msg, TK_SLICE("rally-completed"));
    if (tk_slice_eq_str(msg->event, "shout"))
        return channel_shout(ch, msg);
    if (tk_slice_eq_str(msg->event, "ping")) {
        channel_reply(ch, msg, TK_SLICE("ok"), &msg->payload);
        return TK_OK;
    }
    if (tk_slice_eq_str(msg->event, "pong"))
        return TK_OK;
    return TK_ENOTFOUND;
}

/* Only `msg` is intercepted, and only its user's channels come here (C94). */
static enum tk_err notifications_handle_out(struct channel *ch, struct tk_slice event,
                                            const struct phx_payload *payload)
{
    channel_push(ch, event, payload);
    return TK_OK;
}

/* A msg without a usable user_id is for nobody (C95). */
static enum tk_err notifications_addressee(struct tk_slice event, const struct phx_payload *payload,
                                           struct tk_uuid *user)
{
    (void)event;
    struct tk_json_field id = {.name = "user_id"};
    if (payload->is_binary || tk_json_scan_object(payload->bytes, &payload_rules, &id, 1) ||
        id.value.type != TK_JSON_STRING || id.value.has_escapes)
        return TK_EINVAL;
    return tk_uuid_parse(tk_slice(id.value.raw.ptr + 1, id.value.raw.len - 2), user);
}
