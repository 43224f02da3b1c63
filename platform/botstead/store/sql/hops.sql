-- What is noted of messages that were slow, failed, called other services, or were chosen; and the road of a message read back.
-- See store/hops.py and store/journeys.py.

-- name: note
-- Keep runs and sends, without waiting for the disk.
INSERT INTO hop (message, send, attempt, began, ended, outcome, reason, calls)
SELECT * FROM unnest($1::bigint[], $2::boolean[], $3::smallint[], $4::float8[], $5::float8[], $6::text[], $7::text[], $8::text[]);

-- name: forget_hops
-- Drop what is older, in batches. $1 days, $2 at most
DELETE FROM hop WHERE ctid IN (SELECT ctid FROM hop WHERE began < extract(epoch FROM now()) - $1::float8 * 86400 LIMIT $2);

-- name: origins
-- What was asked, of messages some of which are answers.
SELECT DISTINCT CASE WHEN direction = 1 THEN reply_to ELSE id END AS id FROM message WHERE id = ANY ($1::bigint[]) ORDER BY 1;

-- name: asked
-- Messages that came in or were asked for, and where they stand.
SELECT m.id, m.direction, b.name AS bot, c.kind, m.conversation, m.payload, m.reply_to, m.trace, extract(epoch FROM m.at)::float8 AS at,
    l.reason, l.attempts AS letter_attempts, extract(epoch FROM l.at)::float8 AS parked_at, extract(epoch FROM l.replayed_at)::float8 AS replayed_at,
    i.id IS NOT NULL AS in_inbox, i.attempts AS failures, i.claims AS crashes, extract(epoch FROM i.not_before)::float8 AS due,
    extract(epoch FROM clock_timestamp())::float8 AS now
FROM message m
JOIN bot b ON b.id = m.bot
JOIN channel c ON c.id = m.channel
LEFT JOIN dead_letter l ON l.id = m.id
LEFT JOIN LATERAL (SELECT x.* FROM partition p JOIN inbox x ON x.partition = p.partition AND x.bot = m.bot AND x.id = m.id LIMIT 1) i ON true
WHERE m.id = ANY ($1::bigint[]) AND m.direction <> 1
ORDER BY m.id;

-- name: said
-- What was said in answer, among the next rows of each conversation. $1 ids, $2 their conversations, $3 rows to look at
SELECT a.id, a.reply_to, extract(epoch FROM a.began)::float8 AS began, extract(epoch FROM a.at)::float8 AS at,
    d.outcome, d.reason, d.attempts, extract(epoch FROM d.at)::float8 AS ended,
    o.id IS NOT NULL AS waits, o.attempts AS tried, extract(epoch FROM o.not_before)::float8 AS due
FROM unnest($1::bigint[], $2::text[]) AS q (id, conversation)
CROSS JOIN LATERAL (SELECT * FROM message n WHERE n.conversation = q.conversation AND n.id > q.id ORDER BY n.id LIMIT $3) a
LEFT JOIN delivery d ON d.id = a.id
LEFT JOIN LATERAL (SELECT x.* FROM partition p JOIN outbox x ON x.partition = p.partition AND x.id = a.id LIMIT 1) o ON true
WHERE a.reply_to = q.id AND a.direction = 1
ORDER BY a.id;

-- name: noted
-- What was noted of messages and answers.
SELECT message, send, attempt, began, ended, outcome, reason, calls FROM hop WHERE message = ANY ($1::bigint[]) ORDER BY began, message;

-- name: traced
-- Messages of a trace between two ids, oldest first. $1 trace, $2 from, $3 below, $4 at most
SELECT id FROM message WHERE trace = $1 AND id >= $2 AND id < $3 ORDER BY id LIMIT $4;

-- name: trace_indexes
-- Every index on the traces of a part of `message`, and whether it was built to its end.
SELECT i.relname AS name, x.indisvalid AS valid
FROM pg_inherits h JOIN pg_index x ON x.indrelid = h.inhrelid JOIN pg_class i ON i.oid = x.indexrelid
WHERE h.inhparent = 'message'::regclass AND i.relname ~ '^message_[0-9]+_trace$';

-- name: index_trace
-- Index the traces of a closed part. CONCURRENTLY: a late message is still kept meanwhile.
CREATE INDEX CONCURRENTLY IF NOT EXISTS {name} ON message_{part} (trace);
