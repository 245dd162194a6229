/* SPDX-License-Identifier: MIT */
/* Which channel serves which topic, as a Phoenix application's user_socket does. */
#include "broker/channels/channels.h"

const struct channel_module *const user_socket_channels[] = {
    &notifications_channel,
    &room_channel,
    NULL,
};
