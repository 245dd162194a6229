-- SPDX-License-Identifier: MIT
--
-- Registrations that carried an Idempotency-Key (H103), for 24 hours: what the key was used for and
-- what the answer said. Keys and requests are kept as digests. A row goes with its user; rows whose
-- time is over are removed by later registrations, a few each.

CREATE TABLE idempotency_keys (
    key bytea PRIMARY KEY,
    request bytea NOT NULL,
    user_id uuid NOT NULL UNIQUE REFERENCES users (id) ON DELETE CASCADE,
    nickname text,
    stamps_collected bigint,
    updated_at timestamp(6) without time zone NOT NULL,
    expires_at timestamp(6) with time zone NOT NULL
);

CREATE INDEX idempotency_keys_expiry ON idempotency_keys (expires_at);
