-- Conversations, messages, search: keyset pages only. See store/history.py.
-- Rows of direction 2 (asked for by an operator or another conversation) are nobody's message and are never listed.
-- Those of an internal bot (the canary) are listed for whoever names the bot or the channel.

-- name: newest
-- One above the newest message id that was ever given out.
SELECT CASE WHEN is_called THEN last_value + 1 ELSE last_value END FROM message_id;

-- name: conversations
-- The newest message of each conversation between two ids, unless the conversation has a newer one. Most have: the rows a little above
-- tell so of many at once, for a fraction of what a look-up of each costs, and the look-ups end with the page.
-- $1 from id, $2 below id, $3 bot, $4 channel (each may be null), $5 at most, $6 below id of the rows that are read besides
SELECT m.id, m.conversation, b.name AS bot, c.public_id AS channel, c.kind, m.direction, m.body, m.at
FROM (
    SELECT n.conversation, max(n.id) AS id
    FROM message n
    WHERE n.id >= $1 AND n.id < $6 AND n.direction <> 2
        AND ($3::integer IS NULL OR n.bot = $3) AND ($4::integer IS NULL OR n.channel = $4)
    GROUP BY n.conversation HAVING max(n.id) < $2
    ORDER BY max(n.id) DESC OFFSET 0
) last
LEFT JOIN LATERAL (
    SELECT x.id FROM message x WHERE x.conversation = last.conversation AND x.id >= $6 AND x.direction <> 2 ORDER BY x.conversation, x.id LIMIT 1
) newer ON true
CROSS JOIN LATERAL (SELECT * FROM message x WHERE x.id = last.id OFFSET 0) m
CROSS JOIN LATERAL (SELECT * FROM bot x WHERE x.id = m.bot OFFSET 0) b
CROSS JOIN LATERAL (SELECT * FROM channel x WHERE x.id = m.channel OFFSET 0) c
WHERE newer.id IS NULL
    AND ($3::integer IS NOT NULL OR $4::integer IS NOT NULL OR NOT b.internal)
ORDER BY last.id DESC LIMIT $5;

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

-- name: some
-- Messages by their ids, newest first; those asked for inside too.
SELECT m.id, m.direction, b.name AS bot, c.public_id AS channel, m.conversation, m.body, m.reply_to, m.at, '' AS status
FROM message m
JOIN bot b ON b.id = m.bot
JOIN channel c ON c.id = m.channel
WHERE m.id = ANY ($1::bigint[]) ORDER BY m.id DESC;
