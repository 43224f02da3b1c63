-- Conversations, messages, search: keyset pages only. See store/history.py.
-- Rows of direction 2 (asked for by an operator or another conversation) are nobody's message and are never listed.

-- name: newest
-- One above the newest message id that was ever given out.
SELECT CASE WHEN is_called THEN last_value + 1 ELSE last_value END FROM message_id;

-- name: conversations
-- The newest message of each conversation between two ids, unless the conversation has a newer one.
-- $1 from id, $2 below id, $3 bot, $4 channel (each may be null), $5 at most
SELECT m.id, m.conversation, b.name AS bot, c.public_id AS channel, c.kind, m.direction, m.body, m.at
FROM (
    SELECT DISTINCT ON (n.conversation) n.*
    FROM message n
    WHERE n.id >= $1 AND n.id < $2 AND n.direction <> 2
        AND ($3::integer IS NULL OR n.bot = $3) AND ($4::integer IS NULL OR n.channel = $4)
    ORDER BY n.conversation, n.id DESC
) m
JOIN bot b ON b.id = m.bot
JOIN channel c ON c.id = m.channel
WHERE NOT EXISTS (SELECT FROM message x WHERE x.conversation = m.conversation AND x.id >= $2 AND x.direction <> 2)
ORDER BY m.id DESC LIMIT $5;

-- name: messages
-- A conversation, newest message first. $1 conversation, $2 below id, $3 at most
SELECT m.id, m.direction, b.name AS bot, c.public_id AS channel, m.conversation, m.body, m.reply_to, m.at,
    CASE m.direction WHEN 0 THEN 'received' ELSE coalesce(d.outcome, CASE WHEN l.id IS NULL THEN 'waiting' ELSE 'failed' END) END AS status
FROM (SELECT * FROM message WHERE conversation = $1 AND id < $2 AND direction <> 2 ORDER BY id DESC LIMIT $3) m
JOIN bot b ON b.id = m.bot
JOIN channel c ON c.id = m.channel
LEFT JOIN delivery d ON d.id = m.id AND m.direction = 1
LEFT JOIN dead_letter l ON l.id = m.id AND m.direction = 1
ORDER BY m.id DESC;

-- name: recent
-- Messages in a range of ids whose text holds every word, found by reading each: for the newest rows, which no index covers.
-- $1 from id, $2 below id, $3 bot, $4 channel, $5 query or null, $6 words as patterns, $7 at most
SELECT m.id, m.direction, b.name AS bot, c.public_id AS channel, m.conversation, m.body, m.reply_to, m.at, '' AS status
FROM (
    SELECT * FROM message n
    WHERE n.id >= $1 AND n.id < $2 AND n.direction <> 2
        AND ($3::integer IS NULL OR n.bot = $3) AND ($4::integer IS NULL OR n.channel = $4)
        AND ($5::text IS NULL OR (n.body ILIKE ALL ($6::text[]) AND to_tsvector('simple', n.body) @@ plainto_tsquery('simple', $5)))
    ORDER BY n.id DESC LIMIT $7
) m
JOIN bot b ON b.id = m.bot
JOIN channel c ON c.id = m.channel
ORDER BY m.id DESC;

-- name: indexed
-- The same in one closed part, by its text index. MATERIALIZED keeps the planner from walking ids instead.
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
ORDER BY m.id DESC LIMIT $6;

-- name: words
-- What a query looks for, as the index knows it.
SELECT tsvector_to_array(to_tsvector('simple', $1));

-- name: parts
-- Every part of `message`: its number, and whether its texts are indexed.
SELECT substring(p.relname FROM '^message_([0-9]+)$')::bigint AS part,
    EXISTS (SELECT FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid
            WHERE x.indrelid = p.oid AND x.indisvalid AND i.relname = p.relname || '_words') AS indexed
FROM pg_inherits h JOIN pg_class p ON p.oid = h.inhrelid
WHERE h.inhparent = 'message'::regclass AND p.relname ~ '^message_[0-9]+$'
ORDER BY 1 DESC;

-- name: one
-- One message with everything that is known about what became of it.
SELECT m.id, m.direction, b.name AS bot, c.public_id AS channel, c.kind, m.conversation, m.body, m.payload, m.reply_to, m.trace, m.began, m.at,
    d.outcome, d.external_id, d.reason AS send_reason, d.detail, d.attempts AS send_attempts, d.at AS ended_at,
    l.reason, l.error, l.attempts AS letter_attempts, l.at AS parked_at, l.replayed_at,
    i.id IS NOT NULL AS in_inbox, i.attempts AS inbox_attempts, i.claims, i.not_before AS inbox_until, i.error AS inbox_error,
    o.id IS NOT NULL AS in_outbox, o.attempts AS outbox_attempts, o.not_before AS outbox_until, o.unknown,
    q.at AS asked_at
FROM message m
JOIN bot b ON b.id = m.bot
JOIN channel c ON c.id = m.channel
LEFT JOIN delivery d ON d.id = m.id
LEFT JOIN dead_letter l ON l.id = m.id
LEFT JOIN message q ON q.id = m.reply_to
LEFT JOIN LATERAL (SELECT x.* FROM partition p JOIN inbox x ON x.partition = p.partition AND x.bot = m.bot AND x.id = m.id LIMIT 1) i ON true
LEFT JOIN LATERAL (SELECT x.* FROM partition p JOIN outbox x ON x.partition = p.partition AND x.id = m.id LIMIT 1) o ON true
WHERE m.id = $1;

-- name: answers
-- What was said in answer to a message, in its conversation, among the next rows of it. $1 conversation, $2 id, $3 rows to look at
SELECT a.id, a.began, a.at, d.outcome, d.at AS ended_at
FROM (SELECT * FROM message WHERE conversation = $1 AND id > $2 ORDER BY id LIMIT $3) a
LEFT JOIN delivery d ON d.id = a.id
WHERE a.reply_to = $2 AND a.direction = 1
ORDER BY a.id;

-- name: index_part
-- Index the texts of one closed part; {part} is its number.
CREATE INDEX IF NOT EXISTS message_{part}_words ON message_{part} USING gin (to_tsvector('simple', body)) WITH (fastupdate = off);
