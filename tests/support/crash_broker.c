/* SPDX-License-Identifier: MIT */
/*
 * A tako-broker whose rooms fail when they are told to, for tests of what that does to real clients
 * (C61): linked in place of user_socket.c.
 */
#include "broker/channels/channels.h"

static enum tk_err crash_handle_in(struct channel *ch, const struct phx_msg *msg)
{
    if (tk_slice_eq_str(msg->event, "crash"))
        return TK_EIO;
    if (!tk_slice_eq_str(msg->event, "ping"))
        return TK_ENOTFOUND;
    channel_reply(ch, msg, TK_SLICE("ok"), &msg->payload);
    return TK_OK;
}

static const struct channel_module crash_channel = {
    .topic = "crash:*",
    .handle_in = crash_handle_in,
};

const struct channel_module *const user_socket_channels[] = {
    &notifications_channel,
    &crash_channel,
    NULL,
};
