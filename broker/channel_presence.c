/* SPDX-License-Identifier: MIT */
/*
 * A channel's presence exists from channel_track to its end; its entry in the engine from the
 * moment the client is let in. State and diffs fit together because the engine's state is what
 * members were told last: a client gets it and becomes a member in one go, and whatever has changed
 * since the last diff comes with the next one, to it as to all others.
 */
#include "broker/channel_presence.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "broker/broker.h"

#define SMALL_STATE        1024 /* bytes that are rather copied than shared */
#define MAX_NICKNAME_BYTES 1024 /* what the API allows is far shorter */

struct channel_presence {
    struct presence_entry *entry; /* NULL until the client is let in */
    uint64_t online_at;           /* seconds since 1970 */
    size_t client_len;
    char client[]; /* the client's members, as presence_meta_take leaves them */
};

/* Before a change: the engine knows the time, and what is due by now has been told. */
static void catch_up(struct broker *b)
{
    uint64_t loop_ms = uv_now(b->loop);
    presence_store_tick(b, loop_ms > b->now_ms ? loop_ms : b->now_ms);
}

static uint64_t wall_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/*
 * Topics
 */

static bool is_counts_only(const struct broker *b, struct tk_slice topic)
{
    const struct tk_string_list *patterns = &b->settings->presence_counts_only;
    for (size_t i = 0; i < patterns->count; i++)
        if (topic_matches(topic, tk_slice_str(patterns->items[i])))
            return true;
    return false;
}

void channel_presence_open(struct broker *b, struct topic *t)
{
    if (!t->module->has_presence)
        return;
    t->counts_only = is_counts_only(b, topic_name(t));
    catch_up(b);
    t->presence = presence_open(&b->presence.engine, topic_name(t), t);
}

void channel_presence_close(struct topic *t)
{
    if (t->presence)
        presence_close(t->presence);
    t->presence = NULL;
}

/*
 * One channel's presence
 */

static enum tk_err take_meta(struct channel *ch, struct tk_slice meta,
                             struct channel_presence **presence)
{
    size_t max = (size_t)ch->session->broker->settings->presence_meta_bytes;
    struct tk_buf client = {0};
    enum tk_err err = presence_meta_take(meta, max, &client);
    if (!err) {
        *presence = tk_xcalloc(1, sizeof(**presence) + client.len);
        (*presence)->client_len = client.len;
        if (client.len > 0)
            memcpy((*presence)->client, client.data, client.len);
    }
    tk_buf_fini(&client);
    return err;
}

static struct presence_person person_of(const struct channel *ch)
{
    struct online_user *user = ch->session->user;
    const struct channel_presence *presence = ch->presence;
    size_t nickname_len = user->nickname ? strlen(user->nickname) : 0;
    bool has_nickname = user->nickname && nickname_len <= MAX_NICKNAME_BYTES;
    return (struct presence_person){
        .key = tk_slice_str(online_user_public_id(user)),
        .nickname = has_nickname ? tk_slice(user->nickname, nickname_len) : tk_slice(NULL, 0),
        .online_at = presence->online_at,
        .client = tk_slice(presence->client, presence->client_len),
    };
}

enum tk_err channel_presence_admit(struct channel *ch)
{
    if (!ch->presence || ch->presence->entry)
        return TK_OK;
    uint64_t now = wall_ms();
    ch->presence->online_at = now / 1000;
    catch_up(ch->session->broker);
    const struct presence_person person = person_of(ch);
    return presence_track(ch->topic->presence, &person, now, &ch->presence->entry);
}

static void drop(struct channel *ch)
{
    free(ch->presence);
    ch->presence = NULL;
}

enum tk_err channel_track(struct channel *ch, struct tk_slice meta)
{
    tk_assert(ch->topic->presence); /* the module has_presence */
    if (ch->presence)
        return TK_EEXISTS;
    enum tk_err err = take_meta(ch, meta, &ch->presence);
    if (err || ch->state == CHANNEL_JOINING)
        return err;
    err = channel_presence_admit(ch);
    if (err)
        drop(ch);
    return err;
}

static void update_entry(struct channel *ch)
{
    catch_up(ch->session->broker);
    const struct presence_person person = person_of(ch);
    ch->presence->entry =
        presence_update(ch->topic->presence, ch->presence->entry, &person, wall_ms());
}

enum tk_err channel_update_presence(struct channel *ch, struct tk_slice meta)
{
    struct channel_presence *replacement;
    if (!ch->presence || !ch->presence->entry)
        return TK_ENOTFOUND;
    enum tk_err err = take_meta(ch, meta, &replacement);
    if (err)
        return err;
    replacement->entry = ch->presence->entry;
    replacement->online_at = ch->presence->online_at;
    free(ch->presence);
    ch->presence = replacement;
    update_entry(ch);
    return TK_OK;
}

void channel_untrack(struct channel *ch)
{
    if (!ch->presence)
        return;
    catch_up(ch->session->broker);
    if (ch->presence->entry)
        presence_untrack(ch->topic->presence, ch->presence->entry);
    drop(ch);
}

/* A client that a stopping broker sends away is expected back, on another one (C129). */
void channel_presence_end(struct channel *ch, enum channel_end why)
{
    const struct broker *b = ch->session->broker;
    bool is_sent_away = why == CHANNEL_DISCONNECTED && b->is_draining;
    if (!ch->presence || !ch->presence->entry || !is_sent_away ||
        b->settings->presence_linger_ms == 0) {
        channel_untrack(ch);
        return;
    }
    catch_up(ch->session->broker);
    presence_keep(ch->topic->presence, ch->presence->entry);
    drop(ch);
}

void session_refresh_presence(struct session *s)
{
    for (struct channel *ch = s->channels; ch; ch = ch->next)
        if (ch->presence && ch->presence->entry)
            update_entry(ch);
}

/*
 * What clients are told
 */

void channel_list_presence(const struct channel *ch, struct tk_buf *out)
{
    presence_write_state(ch->topic->presence, out);
}

uint32_t channel_count_presence(const struct channel *ch)
{
    return presence_count(ch->topic->presence);
}

static void write_count(char json[32], uint32_t count)
{
    snprintf(json, 32, "{\"count\":%" PRIu32 "}", count);
}

static void push_count(struct channel *ch)
{
    char json[32];
    write_count(json, channel_count_presence(ch));
    struct phx_payload payload = channel_object(tk_slice_str(json));
    channel_push(ch, TK_SLICE("presence_count"), &payload);
}

/* A message of three frames, of which the middle one, the state, is the same for everybody. */
static void push_shared_state(struct channel *ch, struct frame *state)
{
    struct session *s = ch->session;
    struct phx_around around =
        phx_encode_push_around(s->vsn, &s->broker->encode_scratch, channel_ref(ch),
                               channel_topic(ch), TK_SLICE("presence_state"));
    struct frame *const frames[] = {around.first, state, around.last};
    session_send_group(s, frames, TK_ARRAY_LEN(frames));
    frame_unref(around.first);
    frame_unref(around.last);
}

static void push_state(struct channel *ch)
{
    struct frame **shared = presence_state_cache(ch->topic->presence);
    struct tk_buf state = {0};
    if (!*shared) {
        channel_list_presence(ch, &state);
        if (state.len > SMALL_STATE)
            *shared = frame_of_message(FRAME_MIDDLE, tk_buf_slice(&state));
    }
    if (*shared) {
        push_shared_state(ch, *shared);
    } else {
        struct phx_payload payload = channel_object(tk_buf_slice(&state));
        channel_push(ch, TK_SLICE("presence_state"), &payload);
    }
    tk_buf_fini(&state);
}

void channel_presence_send_state(struct channel *ch)
{
    if (!ch->topic->presence)
        return;
    if (ch->topic->counts_only)
        push_count(ch);
    else
        push_state(ch);
}

static void tell(struct broker *b, struct topic *t, struct tk_slice event, struct tk_slice json)
{
    struct phx_payload payload = channel_object(json);
    topic_publish(b, t, event, &payload, NULL);
}

static void tell_count(struct broker *b, struct topic *t)
{
    char json[32];
    uint32_t count = presence_count(t->presence);
    if (count == t->told_count)
        return;
    t->told_count = count;
    write_count(json, count);
    tell(b, t, TK_SLICE("presence_count"), tk_slice_str(json));
}

void channel_presence_tell(struct broker *b, struct topic *t, struct tk_slice diff)
{
    if (t->counts_only)
        tell_count(b, t);
    else
        tell(b, t, TK_SLICE("presence_diff"), diff);
}
