/* SPDX-License-Identifier: MIT */
/* Puts the parts of a worker's world together, and ends its turns. */
#include "broker/broker.h"

#include "broker/channel.h"

static void on_session_timer(struct timer *timer, void *arg)
{
    (void)arg;
    session_on_timer(tk_container_of(timer, struct session, timer));
}

void broker_init(struct broker *b, uv_loop_t *loop, const struct broker_settings *settings,
                 const struct channel_module *const *channels)
{
    memset(b, 0, sizeof(*b));
    b->settings = settings;
    b->channels = channels;
    b->loop = loop;
    b->now_ms = uv_now(loop);
    timer_wheel_init(&b->wheel, b->now_ms, on_session_timer, b);
    topic_table_init(&b->topics);
    online_users_init(&b->users);
    address_limit_init(&b->addresses, (size_t)settings->max_connections_per_address);
    pubsub_init(&b->pubsub);
    presence_store_init(b);
}

void broker_fini(struct broker *b)
{
    broker_end_turn(b);
    sessions_fini(&b->sessions);
    topic_table_fini(&b->topics);
    online_users_fini(&b->users);
    address_limit_fini(&b->addresses);
    pubsub_fini(&b->pubsub);
    presence_store_fini(b);
    tk_buf_fini(&b->decode_scratch);
    tk_buf_fini(&b->encode_scratch);
}

void broker_end_turn(struct broker *b)
{
    presence_store_end_turn(b);
    channels_end_turn(b);
    sessions_end_turn(b);
    if (b->redis)
        redis_link_flush(b->redis);
}
