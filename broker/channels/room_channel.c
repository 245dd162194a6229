/* SPDX-License-Identifier: MIT */
/* A general room, any topic "room:*": what one member shouts, all members get. */
#include "broker/channels/channels.h"

static enum tk_err room_handle_in(struct channel *ch, const struct phx_msg *msg)
{
    if (tk_slice_eq_str(msg->event, "shout"))
        return channel_shout(ch, msg);
    return TK_ENOTFOUND;
}

const struct channel_module room_channel = {
    .topic = "room:*",
    .handle_in = room_handle_in,
};
