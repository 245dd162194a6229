/* SPDX-License-Identifier: MIT */
/* The topic index: members and their places stay in step under any order of joins and leaves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "broker/channels/channels.h"
#include "tests/unit/broker/fake_client.h"

#define CHANNELS 200

static void in_step_under_random_joins_and_leaves(void **state)
{
    struct topic_table table;
    struct channel *channels = tk_xcalloc(CHANNELS, sizeof(*channels));
    bool joined[CHANNELS] = {false};
    struct topic *t = NULL;
    uint32_t count = 0;
    srand(7);
    topic_table_init(&table);
    for (int step = 0; step < 20000; step++) {
        int i = rand() % CHANNELS;
        bool created;
        if (!joined[i]) {
            t = topic_hold(&table, TK_SLICE("room:1"), &room_channel, &created);
            assert_int_equal(created, count == 0);
            topic_add_member(t, NULL, &channels[i]);
            count++;
        } else {
            topic_remove_member(t, &channels[i]);
            assert_int_equal(topic_release(&table, t), count == 1);
            count--;
        }
        joined[i] = !joined[i];
        t = topic_find(&table, TK_SLICE("room:1"));
        assert_int_equal(t != NULL, count > 0);
        if (!t)
            continue;
        assert_int_equal(t->member_count, count);
        for (uint32_t k = 0; k < t->member_count; k++) {
            assert_int_equal(t->members[k].channel->member_index, k);
            assert_true(joined[t->members[k].channel - channels]);
        }
    }
    for (int i = 0; i < CHANNELS; i++)
        if (joined[i]) {
            topic_remove_member(t, &channels[i]);
            topic_release(&table, t);
        }
    topic_table_fini(&table);
    free(channels);
}

static void names_are_bytes(void **state)
{
    struct topic_table table;
    bool created;
    topic_table_init(&table);
    struct topic *with_nul = topic_hold(&table, tk_slice("room:\0a", 7), &room_channel, &created);
    struct topic *without = topic_hold(&table, TK_SLICE("room:"), &room_channel, &created);
    assert_true(created);
    assert_ptr_not_equal(with_nul, without);
    assert_ptr_equal(topic_find(&table, tk_slice("room:\0a", 7)), with_nul);
    assert_true(topic_release(&table, with_nul));
    assert_true(topic_release(&table, without));
    topic_table_fini(&table);
}

/* Encoded once per serializer in use: the members of one kind hold the very same frame. */
static void members_share_one_frame_per_serializer(void **state)
{
    struct fake_broker fb;
    struct fake_client clients[3];
    struct phx_payload payload = channel_object(TK_SLICE("{\"k\":1}"));
    fake_broker_init(&fb, user_socket_channels);
    for (size_t i = 0; i < 3; i++) {
        fake_connect(&clients[i], &fb, PHX_V2, (unsigned)i);
        fake_send(&clients[i], "[\"1\",\"1\",\"room:1\",\"phx_join\",{}]");
        clients[i].is_blocked = true;
    }
    struct topic *t = topic_find(&fb.broker.topics, TK_SLICE("room:1"));
    assert_int_equal(topic_publish(&fb.broker, t, TK_SLICE("x"), &payload, NULL), 3);
    struct frame *frame = clients[0].session->out.single;
    assert_non_null(frame);
    assert_int_equal(frame->refs, 3);
    assert_ptr_equal(clients[1].session->out.single, frame);
    assert_ptr_equal(clients[2].session->out.single, frame);
    for (size_t i = 0; i < 3; i++)
        fake_client_fini(&clients[i]);
    fake_broker_fini(&fb);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(in_step_under_random_joins_and_leaves),
        cmocka_unit_test(names_are_bytes),
        cmocka_unit_test(members_share_one_frame_per_serializer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
