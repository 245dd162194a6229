/* SPDX-License-Identifier: MIT */
/* Every channel module that this broker ships, and the table that maps topics to them. */
#pragma once

#include "broker/channel.h"

extern const struct channel_module notifications_channel;
extern const struct channel_module room_channel;

/* First match in order (C45); NULL-terminated. The place to add a channel. */
extern const struct channel_module *const user_socket_channels[];
