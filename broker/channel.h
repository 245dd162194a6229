/* SPDX-License-Identifier: MIT */
/*
 * What a channel is written against: the words are Phoenix's (join, handle_in, intercept,
 * handle_out, terminate, broadcast, push, reply). The framework owns memory, refs, order and
 * errors; a module has no malloc of its own. channels/README.md shows a complete one.
 */
#pragma once

#include "broker/phoenix/phx_codec.h"
#include "broker/topic.h"
#include "common/tk_uuid.h"

struct channel;

enum channel_end {
    CHANNEL_LEFT,    /* the client left, or joined the topic again */
    CHANNEL_CRASHED, /* a callback failed; the client got phx_error */
    CHANNEL_DISCONNECTED,
};

struct channel_module {
    const char *topic;             /* "notifications", or a prefix: "room:*" (C45) */
    bool has_presence;             /* clients are told who is on the topic: channel_presence.h */
    size_t state_size;             /* bytes per channel, zeroed, 8-byte aligned: channel_state */
    const char *const *intercepts; /* events that pass handle_out, NULL-terminated; or NULL */

    /*
     * May this client join? response (empty) may be filled with the JSON object of the answer;
     * empty means {} or, refused, {"reason":"unauthorized"}. NULL: everybody may. Nothing may be
     * pushed or broadcast yet. TK_OK joins, TK_EDENIED refuses, anything else is "join crashed"
     * (C47).
     */
    enum tk_err (*join)(struct channel *ch, const struct phx_payload *params,
                        struct tk_buf *response);

    /*
     * A message of the client. TK_ENOTFOUND: unknown event, TK_EINVAL: unusable payload; both are
     * answered with an error reply and the channel lives on. Anything else but TK_OK crashes the
     * channel.
     */
    enum tk_err (*handle_in)(struct channel *ch, const struct phx_msg *msg);

    /* A broadcast of an intercepted event, on its way to this client: push it, change it, or drop
     * it. */
    enum tk_err (*handle_out)(struct channel *ch, struct tk_slice event,
                              const struct phx_payload *payload);

    /*
     * Optional: names the one user whom this intercepted broadcast is for; handle_out then runs for
     * his channels only. TK_ENOTFOUND: it is for everybody; TK_EINVAL: for nobody (logged).
     */
    enum tk_err (*addressee)(struct tk_slice event, const struct phx_payload *payload,
                             struct tk_uuid *user);

    void (*terminate)(struct channel *ch, enum channel_end why); /* optional; may not send */
};

void *channel_state(struct channel *ch);
struct tk_slice channel_topic(const struct channel *ch);
const struct online_user *channel_user(const struct channel *ch);

/* To everybody on the channel's topic, on every broker, the sender included (C69). */
void channel_broadcast(struct channel *ch, struct tk_slice event,
                       const struct phx_payload *payload);
/* The same without this channel. */
void channel_broadcast_from(struct channel *ch, struct tk_slice event,
                            const struct phx_payload *payload);
/* To this client only (C76). */
void channel_push(struct channel *ch, struct tk_slice event, const struct phx_payload *payload);
/* The answer to msg, at most one (C52). status: "ok", "error". response may be any JSON (C27). */
void channel_reply(struct channel *ch, const struct phx_msg *msg, struct tk_slice status,
                   const struct phx_payload *response);

/*
 * handle_in's usual answer to an event that is meant for everybody: the payload as it came, an
 * object or binary (C91), under the event's own name. TK_EINVAL for any other payload (C27).
 */
enum tk_err channel_shout(struct channel *ch, const struct phx_msg *msg);

/* A payload from JSON text that we wrote ourselves: an object. */
static inline struct phx_payload channel_object(struct tk_slice json)
{
    return (struct phx_payload){.type = TK_JSON_OBJECT, .bytes = json};
}

/*
 * The framework's side, for phx_socket, pubsub and session.
 */
enum channel_state {
    CHANNEL_JOINING, /* accepted; waits for Redis to confirm the topic */
    CHANNEL_JOINED,
};

struct channel {
    struct session *session;
    struct topic *topic;
    struct channel *next;         /* of the same session */
    struct channel *next_waiting; /* of the same topic, while joining */
    struct channel *next_failed;
    struct channel_early *early;       /* frames that came while joining, oldest first (C49) */
    struct channel_presence *presence; /* NULL: not tracked */
    char *response;                    /* of the join, until it is sent; NULL: {} */
    uint32_t member_index;             /* in topic->members while joined */
    uint32_t early_bytes;
    uint8_t state;
    bool is_failed;       /* crashes at the end of the turn */
    uint8_t join_ref_len; /* 0: the client sent null */
    uint8_t ref_len;
    char data[] __attribute__((aligned(8))); /* module state, join_ref, ref */
};

/* The module that claims a topic; NULL when none does (C44). */
const struct channel_module *channel_module_for(const struct channel_module *const *modules,
                                                struct tk_slice topic);

/*
 * Handles an accepted phx_join: asks the module, holds the topic, answers now or when Redis has
 * confirmed the topic's subscription.
 */
void channel_open(struct session *s, const struct channel_module *module,
                  const struct phx_msg *join);

/* Answers the join and makes the channel a member; then the early frames are handled. */
void channel_complete_join(struct channel *ch);

/* The join waited too long for Redis: it is refused as crashed (C47, C173). */
void channel_give_up_join(struct channel *ch);

/* Keeps a frame for after the join. TK_ELIMIT when the client sends too much meanwhile. */
enum tk_err channel_keep_early(struct channel *ch, bool is_binary,
                               struct tk_slice bytes) TK_MUST_CHECK;

/* Hands a message to the module and turns its result into the wire form. */
void channel_handle_in(struct channel *ch, const struct phx_msg *msg);

/* Unlinks and frees; sends nothing. Not while the topic's members are walked. */
void channel_end(struct channel *ch, enum channel_end why);

/* Sends phx_close, then ends (C58, C60). */
void channel_close(struct channel *ch);

/*
 * A callback failed: logs, and at the end of the turn sends phx_error and ends the channel (C61),
 * so that whoever walks the topic's members can go on. Until then the channel handles nothing more.
 */
void channel_fail(struct channel *ch, enum tk_err why);
void channels_end_turn(struct broker *b);

/* What stands in the join_ref column of C63 for replies and pushes, and for close and error. */
struct phx_ref channel_ref(const struct channel *ch);
struct phx_ref channel_join_ref(const struct channel *ch);
