/* SPDX-License-Identifier: MIT */
/*
 * A general room, any topic "room:*": what one member shouts, all members get, and all know who is
 * there. Clients may say more of themselves, a JSON object: "meta" in the payload of the join, or
 * later the payload of "update_presence", which replaces it.
 */
#include "broker/channel_presence.h"
#include "broker/channels/channels.h"

static enum tk_err room_join(struct channel *ch, const struct phx_payload *params,
                             struct tk_buf *response);
static enum tk_err room_handle_in(struct channel *ch, const struct phx_msg *msg);

const struct channel_module room_channel = {
    .topic = "room:*",
    .has_presence = true,
    .join = room_join,
    .handle_in = room_handle_in,
};

static struct tk_slice why_refused(enum tk_err err)
{
    return err == TK_ELIMIT ? TK_SLICE("{\"reason\":\"meta too large\"}")
                            : TK_SLICE("{\"reason\":\"invalid meta\"}");
}

/* A join without a meta is fine, and so is one whose payload is no object at all (C26). */
static struct tk_slice meta_of(const struct phx_payload *params)
{
    static const struct tk_json_rules rules = {.max_depth = TK_JSON_MAX_DEPTH};
    struct tk_json_field meta = {.name = "meta"};
    if (params->is_binary || params->type != TK_JSON_OBJECT ||
        tk_json_scan_object(params->bytes, &rules, &meta, 1) || meta.value.type == TK_JSON_NONE ||
        meta.value.type == TK_JSON_NULL)
        return TK_SLICE("{}");
    return meta.value.raw;
}

static enum tk_err room_join(struct channel *ch, const struct phx_payload *params,
                             struct tk_buf *response)
{
    enum tk_err err = channel_track(ch, meta_of(params));
    if (!err)
        return TK_OK;
    tk_buf_append_slice(response, why_refused(err));
    return TK_EDENIED;
}

static enum tk_err update_presence(struct channel *ch, const struct phx_msg *msg)
{
    enum tk_err err =
        msg->payload.is_binary ? TK_EINVAL : channel_update_presence(ch, msg->payload.bytes);
    struct phx_payload response = channel_object(err ? why_refused(err) : TK_SLICE("{}"));
    channel_reply(ch, msg, err ? TK_SLICE("error") : TK_SLICE("ok"), &response);
    return TK_OK;
}

static enum tk_err room_handle_in(struct channel *ch, const struct phx_msg *msg)
{
    if (tk_slice_eq_str(msg->event, "shout"))
        return channel_shout(ch, msg);
    if (tk_slice_eq_str(msg->event, "update_presence"))
        return update_presence(ch, msg);
    return TK_ENOTFOUND;
}
