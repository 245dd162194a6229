/* SPDX-License-Identifier: MIT */
/*
 * Who is on a topic, as its clients see it (C99-C122): what a channel may do with presence, and
 * what the framework does for modules with has_presence. After every join of theirs the client gets
 * presence_state, and from then on presence_diff for every change, on all brokers. These two are
 * never intercepted. What happens within TAKO_PRESENCE_WINDOW_MS comes as one diff (C116).
 *
 * In topics of TAKO_PRESENCE_COUNTS_ONLY clients get presence_count, {"count":N}, instead of both:
 * after the join, and when the number of present users has changed (C180).
 *
 * The key of a presence is its user's public id. A meta has phx_ref, nickname and online_at, which
 * are the server's, and the members that the channel gives it.
 */
#pragma once

#include "broker/channel.h"

/*
 * Presence.track: the channel is present until it ends. meta: a JSON object of the client, whose
 * members go into the presence as they are, but for those that the server owns (C102). In join it
 * takes effect when the client is let in; if the user or the topic has too many presences by then,
 * the join is refused with {"reason":"too many presences"}.
 * TK_EINVAL: no object, or with a member named as one of JavaScript's Object.prototype (C103).
 * TK_ELIMIT: larger than TAKO_PRESENCE_META_BYTES, or too many presences. TK_EEXISTS: tracked
 * already (C112).
 */
enum tk_err channel_track(struct channel *ch, struct tk_slice meta) TK_MUST_CHECK;

/* Presence.update: another meta takes the place of the old one (C111). TK_ENOTFOUND: not tracked.
 */
enum tk_err channel_update_presence(struct channel *ch, struct tk_slice meta) TK_MUST_CHECK;

/* Presence.untrack. Fine when not tracked. */
void channel_untrack(struct channel *ch);

/*
 * Presence.list: appends {key: {"metas": [...]}} of the channel's topic, as clients know it at this
 * moment; and how many keys that has, which costs nothing (C179). Not in join.
 */
void channel_list_presence(const struct channel *ch, struct tk_buf *out);
uint32_t channel_count_presence(const struct channel *ch);

/*
 * The framework's side, for channel, pubsub and online_users.
 */
struct topic;

void channel_presence_open(struct broker *b, struct topic *t); /* the topic's first holder came */
void channel_presence_close(struct topic *t);                  /* and the last one goes */

/* What was tracked in join begins. TK_ELIMIT: it cannot, and the join is to be refused. */
enum tk_err channel_presence_admit(struct channel *ch) TK_MUST_CHECK;
/* Behind the join's reply, before the channel is a member: no change is missed or told twice
 * (C108). */
void channel_presence_send_state(struct channel *ch);
void channel_presence_end(struct channel *ch, enum channel_end why);

/* The user's nickname has changed. */
void session_refresh_presence(struct session *s);

/* To all members: the diff, or the count. */
void channel_presence_tell(struct broker *b, struct topic *t, struct tk_slice diff);
