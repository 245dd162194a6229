/* SPDX-License-Identifier: MIT */
/* The channel of broker/channels/README.md, taken from its text by the Makefile, does what it says.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/broker/fake_client.h"

extern const struct channel_module stage_channel;
static const struct channel_module *const modules[] = {&stage_channel, NULL};

static void the_readmes_channel(void **state)
{
    struct fake_broker fb;
    struct fake_client a, b;
    fake_broker_init(&fb, modules);
    fake_connect(&a, &fb, PHX_V2, 1);
    fake_connect(&b, &fb, PHX_V2, 2);

    fake_send(&a, "[\"1\",\"1\",\"stage:backstage\",\"phx_join\",{}]");
    fake_expect(&a, "[\"1\",\"1\",\"stage:backstage\",\"phx_reply\",{\"response\":{\"reason\":"
                    "\"unauthorized\"},\"status\":\"error\"}]");
    fake_send(&a, "[\"2\",\"2\",\"stage:1\",\"phx_join\",{}]");
    fake_expect(&a, "[\"2\",\"2\",\"stage:1\",\"phx_reply\",{\"response\":{\"doors\":\"open\"},"
                    "\"status\":\"ok\"}]");
    fake_send(&b, "[\"1\",\"1\",\"stage:1\",\"phx_join\",{}]");
    b.read = b.sent_count;

    fake_send(&a, "[\"2\",\"3\",\"stage:1\",\"cheer\",{\"who\":\"a\"}]");
    fake_expect(&a, "[\"2\",null,\"stage:1\",\"cheer\",{\"who\":\"a\"}]");
    fake_expect(&a, "[\"2\",\"3\",\"stage:1\",\"phx_reply\",{\"response\":{\"cheers\":1},"
                    "\"status\":\"ok\"}]");
    fake_expect(&b, "[\"1\",null,\"stage:1\",\"cheer\",{\"who\":\"a\"}]");

    fake_send(&b, "[\"1\",\"2\",\"stage:1\",\"mute\",{}]");
    fake_send(&a, "[\"2\",\"4\",\"stage:1\",\"cheer\",{}]");
    fake_expect_nothing(&b);
    a.read = a.sent_count;
    fake_send(&a, "[\"2\",\"5\",\"stage:1\",\"cheer\",7]");
    fake_expect(&a, "[\"2\",\"5\",\"stage:1\",\"phx_reply\",{\"response\":{\"reason\":\"invalid "
                    "payload\"},\"status\":\"error\"}]");
    fake_send(&a, "[\"2\",\"6\",\"stage:1\",\"dance\",{}]");
    fake_expect(&a, "[\"2\",\"6\",\"stage:1\",\"phx_reply\",{\"response\":{\"reason\":\"unknown "
                    "event\"},\"status\":\"error\"}]");

    fake_client_fini(&a);
    fake_client_fini(&b);
    fake_broker_fini(&fb);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_readmes_channel)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
