-- The canary's bot and channel, where its message is, and the end of old ones. See store/canary.py.

-- name: ensure_bot
-- The canary's bot, also when it was deleted. No row: an operator's bot has that name.
INSERT INTO bot (name, kind, internal) VALUES ($1, 'python', true)
ON CONFLICT (name) DO UPDATE SET deleted_at = NULL, enabled = true, problem = NULL WHERE bot.internal
RETURNING id;

-- name: channel
-- The canary's channel.
SELECT public_id FROM channel WHERE bot = $1 AND kind = $2 AND deleted_at IS NULL ORDER BY id LIMIT 1;

-- name: trail
-- How far a message has come. $1 channel, $2 dedup key, $3 partition, $4 bot, $5 conversation
SELECT s.id, i.id IS NOT NULL AS waits, coalesce(i.attempts, 0) AS attempts, i.error, w.name AS worker,
    coalesce(w.lease_until > clock_timestamp(), false) AS alive,
    a.id AS answer, o.id IS NOT NULL AS unsent, d.outcome, coalesce(l.reason, '') AS parked
FROM seen s
LEFT JOIN inbox i ON i.partition = $3 AND i.bot = $4 AND i.id = s.id
LEFT JOIN partition p ON p.partition = $3
LEFT JOIN worker w ON w.id = p.worker
LEFT JOIN LATERAL (
    SELECT m.id FROM message m WHERE m.conversation = $5 AND m.id > s.id AND m.reply_to = s.id ORDER BY m.id LIMIT 1
) a ON true
LEFT JOIN outbox o ON o.partition = $3 AND o.id = a.id
LEFT JOIN delivery d ON d.id = a.id
LEFT JOIN dead_letter l ON l.id = s.id
WHERE s.channel = $1 AND s.key = $2;

-- name: sweep
-- Forget the canary's messages that are older than so many seconds and not on their way. $1 conversation[], $2 bot, $3 channel, $4 seconds
WITH gone AS (
    DELETE FROM message m WHERE m.conversation = ANY ($1::text[]) AND m.at < clock_timestamp() - make_interval(secs => $4)
        AND NOT EXISTS (SELECT FROM inbox i WHERE i.bot = $2 AND i.id = m.id)
        AND NOT EXISTS (SELECT FROM outbox o WHERE o.id = m.id)
    RETURNING m.id
), deliveries AS (
    DELETE FROM delivery d USING gone WHERE d.id = gone.id
), letters AS (
    DELETE FROM dead_letter l USING gone WHERE l.id = gone.id
), keys AS (
    DELETE FROM seen s WHERE s.channel = $3 AND s.at < clock_timestamp() - make_interval(secs => $4)
)
SELECT count(*) AS messages FROM gone;
