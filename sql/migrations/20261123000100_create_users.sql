-- SPDX-License-Identifier: MIT
--
-- The users (H56). The original tako's table is adopted as it is, with its data, when it has what
-- tako needs; when not, this says what is missing and changes nothing.

CREATE TABLE IF NOT EXISTS users (
    id uuid PRIMARY KEY,
    nickname text,
    stamps_collected bigint DEFAULT 0,
    inserted_at timestamp(6) without time zone NOT NULL DEFAULT now(),
    updated_at timestamp(6) without time zone NOT NULL DEFAULT now()
);

DO $check$
DECLARE
    problems text;
BEGIN
    WITH wanted (name, types, may_be_null) AS (
        VALUES ('id', ARRAY['uuid'], false),
               ('nickname', ARRAY['text', 'character varying', 'character varying(255)'], true),
               ('stamps_collected', ARRAY['bigint'], true),
               -- With fewer digits two updates in a row would leave the same version behind (H101).
               ('inserted_at', ARRAY['timestamp without time zone',
                                     'timestamp(6) without time zone'], NULL),
               ('updated_at', ARRAY['timestamp without time zone',
                                    'timestamp(6) without time zone'], NULL)
    ), found AS (
        SELECT attname AS name, format_type(atttypid, atttypmod) AS type, attnotnull,
               atthasdef OR attidentity <> '' AS fills_itself
        FROM pg_attribute
        WHERE attrelid = 'users'::regclass AND attnum > 0 AND NOT attisdropped
    ), complaints (position, complaint) AS (
        SELECT 1, 'it is not a table'
        FROM pg_class WHERE oid = 'users'::regclass AND relkind NOT IN ('r', 'p')
        UNION ALL
        SELECT 2, format('column %s is missing, must be %s', name, types[1])
        FROM wanted WHERE NOT EXISTS (SELECT FROM found WHERE found.name = wanted.name)
        UNION ALL
        SELECT 3, format('column %s is %s, must be %s', name, type, types[1])
        FROM wanted JOIN found USING (name) WHERE type <> ALL (types)
        UNION ALL
        SELECT 4, format('column %s is NOT NULL, must allow null', name)
        FROM wanted JOIN found USING (name) WHERE may_be_null AND attnotnull
        UNION ALL
        SELECT 5, format('column %s is NOT NULL without a default, and tako does not know it', name)
        FROM found WHERE attnotnull AND NOT fills_itself AND name NOT IN (SELECT name FROM wanted)
        UNION ALL
        SELECT 6, 'column id is not the primary key, nor unique by itself'
        WHERE NOT EXISTS (
            SELECT FROM pg_index JOIN pg_attribute ON attrelid = indrelid AND attnum = indkey[0]
            WHERE indrelid = 'users'::regclass AND attname = 'id' AND indisunique AND indisvalid
                  AND indnkeyatts = 1 AND indpred IS NULL AND indexprs IS NULL)
    )
    SELECT string_agg(complaint, E'\n- ' ORDER BY position, complaint) INTO problems
    FROM complaints;

    IF problems IS NOT NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_table_definition',
            MESSAGE = 'the table users of this database is not one that tako can use:',
            DETAIL = '- ' || problems,
            HINT = 'Nothing was changed. Alter the table, or set DATABASE_URL to another database.';
    END IF;
END
$check$;
