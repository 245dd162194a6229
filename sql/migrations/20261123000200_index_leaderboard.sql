-- no-transaction
-- SPDX-License-Identifier: MIT
--
-- The leaderboard without sorting everybody (H86). Built CONCURRENTLY, since the table may be a
-- large one in use. An attempt that was broken off leaves an invalid index behind, hence the DROP.

DROP INDEX CONCURRENTLY IF EXISTS users_leaderboard;

CREATE INDEX CONCURRENTLY users_leaderboard
    ON users (stamps_collected DESC NULLS LAST, inserted_at, id)
    WHERE nickname IS NOT NULL;
