/* SPDX-License-Identifier: MIT */
#include "tests/unit/broker/fake_client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static const char *no_environment(const char *name)
{
    return strcmp(name, "TAKO_DEV") == 0 ? "1" : NULL;
}

void fake_broker_init(struct fake_broker *fb, const struct channel_module *const *channels)
{
    memset(fb, 0, sizeof(*fb));
    assert_int_equal(
        tk_settings_load(&broker_settings_table, no_environment, &fb->settings, stderr), TK_OK);
    assert_int_equal(uv_loop_init(&fb->loop), 0);
    broker_init(&fb->broker, &fb->loop, &fb->settings, channels);
}

void fake_broker_fini(struct fake_broker *fb)
{
    struct session *next;
    for (struct session *s = fb->broker.sessions.first; s; s = next) {
        next = s->next;
        s->ops->kill(s->transport);
    }
    broker_fini(&fb->broker);
    tk_settings_free(&broker_settings_table, &fb->settings);
    assert_int_equal(uv_loop_close(&fb->loop), 0);
}

struct tk_uuid fake_user(unsigned number)
{
    char text[TK_UUID_LEN + 1];
    struct tk_uuid id;
    snprintf(text, sizeof(text), "00000000-0000-4000-8000-%012u", number);
    assert_int_equal(tk_uuid_parse(tk_slice_str(text), &id), TK_OK);
    return id;
}

static void keep_message(struct fake_client *c, struct tk_slice payload)
{
    assert_true(c->sent_count < FAKE_SENT_MAX);
    c->sent_lens[c->sent_count] = payload.len;
    c->sent[c->sent_count++] = tk_xstrndup(payload.ptr, payload.len);
}

/* One fragment of a message; the first has an opcode, the others have none (RFC 6455, 5.4). */
static void keep_fragment(struct fake_client *c, bool is_final, unsigned opcode,
                          struct tk_slice payload)
{
    assert_int_equal(opcode == 0, c->is_in_message);
    tk_buf_append_slice(&c->partial, payload);
    c->is_in_message = !is_final;
    c->fragments++;
    if (!is_final)
        return;
    keep_message(c, tk_buf_slice(&c->partial));
    tk_buf_clear(&c->partial);
}

/* Splits what was written into frames: RFC 6455, 5.2, unmasked. */
static void keep_frames(struct fake_client *c, struct tk_slice bytes)
{
    const unsigned char *p = (const unsigned char *)bytes.ptr;
    const unsigned char *end = p + bytes.len;
    while (p < end) {
        bool is_final = p[0] & 0x80;
        unsigned opcode = p[0] & 0x0f;
        size_t len = p[1], header = 2;
        if (len == 126) {
            len = (size_t)p[2] << 8 | p[3];
            header = 4;
        } else if (len == 127) {
            len = 0;
            for (int i = 0; i < 8; i++)
                len = len << 8 | p[2 + i];
            header = 10;
        }
        assert_true(p + header + len <= end);
        struct tk_slice payload = tk_slice((const char *)p + header, len);
        if (opcode == WS_CLOSE)
            c->close_code = p[header] << 8 | p[header + 1];
        else if (is_final && opcode != 0)
            keep_message(c, payload);
        else
            keep_fragment(c, is_final, opcode, payload);
        p += header + len;
    }
}

static bool fake_write(struct transport *t, struct tk_slice frames)
{
    struct fake_client *c = (struct fake_client *)t;
    assert_false(c->is_blocked);
    if (c->is_broken)
        return false;
    c->writes++;
    keep_frames(c, frames);
    return true;
}

static bool fake_is_blocked(struct transport *t)
{
    return ((struct fake_client *)t)->is_blocked;
}

static void fake_write_close(struct transport *t, struct tk_slice frame)
{
    keep_frames((struct fake_client *)t, frame);
}

static void fake_kill(struct transport *t)
{
    fake_drop((struct fake_client *)t);
}

static const struct transport_ops fake_ops = {
    .write = fake_write,
    .is_blocked = fake_is_blocked,
    .write_close = fake_write_close,
    .kill = fake_kill,
};

void fake_connect(struct fake_client *c, struct fake_broker *fb, enum phx_vsn vsn, unsigned user)
{
    struct tk_uuid id = fake_user(user);
    *c = (struct fake_client){.broker = &fb->broker};
    c->session = session_open(&fb->broker, vsn, &id, "somebody", &fake_ops, (struct transport *)c);
}

void fake_drop(struct fake_client *c)
{
    struct session *s = c->session;
    c->session = NULL;
    if (s)
        session_on_closed(s);
}

void fake_client_fini(struct fake_client *c)
{
    fake_drop(c);
    for (size_t i = 0; i < c->sent_count; i++)
        free(c->sent[i]);
    tk_buf_fini(&c->partial);
    c->sent_count = c->read = 0;
}

void fake_turn(struct fake_client *c)
{
    broker_end_turn(c->broker);
}

void fake_send(struct fake_client *c, const char *text)
{
    session_on_data(c->session, &(struct session_data){
                                    .bytes = tk_slice_str(text),
                                    .is_first = true,
                                    .is_final = true,
                                });
    fake_turn(c);
}

void fake_expect_at(struct fake_client *c, const char *text, const char *file, int line)
{
    if (c->read >= c->sent_count) {
        print_error("no frame; expected %s\n", text);
        _fail(file, line);
    }
    _assert_string_equal(c->sent[c->read++], text, file, line);
}

void fake_expect_nothing_at(struct fake_client *c, const char *file, int line)
{
    if (c->read < c->sent_count) {
        print_error("unexpected frame %s\n", c->sent[c->read]);
        _fail(file, line);
    }
}
