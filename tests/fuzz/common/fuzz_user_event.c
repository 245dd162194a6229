/* SPDX-License-Identifier: MIT */
/*
 * Any bytes as a message on tako:users. What is understood must keep what the header promises, and
 * must be understood the same when it is written again.
 */
#include <stdlib.h>

#include "common/envelope.h"
#include "common/tk_json.h"

static struct tk_buf scratch, again_scratch, out;

static bool is_within(struct tk_slice s, struct tk_slice outer)
{
    return s.len == 0 || (s.ptr >= outer.ptr && s.ptr + s.len <= outer.ptr + outer.len);
}

static void check_event(const struct tk_user_event *event, struct tk_slice text)
{
    tk_assert(event->kind <= TK_USER_DISCONNECT);
    tk_assert(is_within(event->nickname, text) ||
              is_within(event->nickname, tk_buf_slice(&scratch)));
    tk_assert(tk_utf8_valid(event->nickname));
    if (event->kind == TK_USER_DELETED || event->kind == TK_USER_DISCONNECT)
        tk_assert(event->nickname.ptr == NULL && !event->has_stamps);
}

static void check_round_trip(const struct tk_user_event *event)
{
    struct tk_user_event again;
    tk_buf_clear(&out);
    tk_user_event_write(&out, event);
    enum tk_err err = tk_user_event_parse(tk_buf_slice(&out), &again_scratch, &again);
    if (out.len > TK_USER_EVENT_MAX) /* a nickname of control characters grows when it is escaped */
        return;
    tk_assert(err == TK_OK);
    tk_assert(again.kind == event->kind && tk_uuid_eq(&again.id, &event->id));
    tk_assert(tk_slice_eq(again.nickname, event->nickname));
    tk_assert((again.nickname.ptr == NULL) == (event->nickname.ptr == NULL));
    tk_assert(again.has_stamps == event->has_stamps);
    tk_assert(again.stamps_collected == event->stamps_collected);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tk_slice text = tk_slice((const char *)data, size);
    struct tk_user_event event;
    if (tk_user_event_parse(text, &scratch, &event))
        return 0;
    check_event(&event, text);
    check_round_trip(&event);
    return 0;
}
