-- Search by words, and its indexes. See store/search.py.

-- name: newest
-- One above the newest message id that was ever given out.
SELECT CASE WHEN is_called THEN last_value + 1 ELSE last_value END FROM message_id;

-- name: recent
-- Messages in a range of ids whose text holds every word, found by reading each: for the newest rows, which no index covers.
-- $1 from id, $2 below id, $3 bot, $4 channel, $5 query or null, $6 words as patterns, $7 at most
SELECT m.id, m.direction, b.name AS bot, c.public_id AS channel, m.conversation, m.body, m.reply_to, m.at, '' AS status
FROM (
    SELECT * FROM message n
    WHERE n.id >= $1 AND n.id < $2 AND n.direction <> 2
        AND ($3::integer IS NULL OR n.bot = $3) AND ($4::integer IS NULL OR n.channel = $4)
        AND ($3::integer IS NOT NULL OR $4::integer IS NOT NULL OR n.bot <> ALL (ARRAY(SELECT id FROM bot WHERE internal)))
        AND ($5::text IS NULL OR (n.body ILIKE ALL ($6::text[]) AND to_tsvector('simple', n.body) @@ plainto_tsquery('simple', $5)))
    ORDER BY n.id DESC LIMIT $7
) m
JOIN bot b ON b.id = m.bot
JOIN channel c ON c.id = m.channel
ORDER BY m.id DESC;

-- name: indexed
-- The same where an index covers the range. MATERIALIZED keeps the planner from walking ids instead.
-- $1 from id, $2 below id, $3 bot, $4 channel, $5 query, $6 at most
WITH found AS MATERIALIZED (
    SELECT n.id, n.direction, n.bot, n.channel, n.conversation, n.body, n.reply_to, n.at FROM message n
    WHERE n.id >= $1 AND n.id < $2 AND to_tsvector('simple', n.body) @@ plainto_tsquery('simple', $5)
)
SELECT m.id, m.direction, b.name AS bot, c.public_id AS channel, m.conversation, m.body, m.reply_to, m.at, '' AS status
FROM found m
JOIN bot b ON b.id = m.bot
JOIN channel c ON c.id = m.channel
WHERE m.direction <> 2 AND ($3::integer IS NULL OR m.bot = $3) AND ($4::integer IS NULL OR m.channel = $4)
    AND ($3::integer IS NOT NULL OR $4::integer IS NOT NULL OR NOT b.internal)
ORDER BY m.id DESC LIMIT $6;

-- name: words
-- What a query looks for, as the index knows it.
SELECT tsvector_to_array(to_tsvector('simple', $1));

-- name: plan
-- Plan each statement for its own range: parts that cannot match are left out, and an index on a chunk is seen to cover it.
SET LOCAL plan_cache_mode = force_custom_plan;

-- name: alone
-- Starting helpers costs more than they save here.
SET LOCAL max_parallel_workers_per_gather = 0;

-- name: parts
-- The number of every part of `message`.
SELECT substring(p.relname FROM '^message_([0-9]+)$')::bigint AS part
FROM pg_inherits h JOIN pg_class p ON p.oid = h.inhrelid
WHERE h.inhparent = 'message'::regclass AND p.relname ~ '^message_[0-9]+$';

-- name: indexes
-- Every index on a part of `message`, and whether it was built to its end.
SELECT i.relname AS name, x.indisvalid AS valid
FROM pg_inherits h JOIN pg_index x ON x.indrelid = h.inhrelid JOIN pg_class i ON i.oid = x.indexrelid
WHERE h.inhparent = 'message'::regclass AND i.relname LIKE 'message%words%';

-- name: patience
-- Building an index waits for old transactions, and holds up nobody while it waits.
SELECT set_config('statement_timeout', '0', false), set_config('lock_timeout', '0', false);

-- name: haste
-- Back to the session's own limits, as it was opened with.
RESET ALL;

-- name: whole
-- Index a closed part. CONCURRENTLY: a late message is still kept meanwhile.
CREATE INDEX CONCURRENTLY IF NOT EXISTS {name} ON message_{part} USING gin (to_tsvector('simple', body)) WITH (fastupdate = off);

-- name: chunk
-- Index a chunk of the open part; what is kept from now on lies outside and costs nothing more.
CREATE INDEX CONCURRENTLY IF NOT EXISTS {name} ON message_{part} USING gin (to_tsvector('simple', body)) WITH (fastupdate = off)
WHERE id >= {first} AND id < {end};

-- name: drop
-- Let go of an index that is broken, or that the one of its whole part replaces.
DROP INDEX CONCURRENTLY IF EXISTS {name};
