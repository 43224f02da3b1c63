-- How a bot does, from the rows of its messages. See store/performance.py.

-- name: since
-- The first id of a moment: ids are given out in order of time, so it is found by halving. $1 moment
WITH RECURSIVE look (low, high, step) AS (
    SELECT 1::bigint, (SELECT CASE WHEN is_called THEN last_value + 1 ELSE last_value END FROM message_id), 0
    UNION ALL
    SELECT CASE WHEN before THEN middle + 1 ELSE low END, CASE WHEN before THEN high ELSE middle END, step + 1
    FROM look
    CROSS JOIN LATERAL (SELECT (low + high) / 2 AS middle) m
    CROSS JOIN LATERAL (
        SELECT coalesce((SELECT at < $1::timestamptz FROM message WHERE id >= middle ORDER BY id LIMIT 1), false) AS before
    ) b
    WHERE low < high AND step < 64
)
SELECT low, (SELECT CASE WHEN is_called THEN last_value + 1 ELSE last_value END FROM message_id) AS newest FROM look ORDER BY step DESC LIMIT 1;

-- name: answers
-- How fast people were answered, and where the time went: of the first answer to each message. $1 bot, $2 from id
WITH said AS MATERIALIZED (
    SELECT a.id, a.reply_to, a.began, a.at, d.at AS ended, d.outcome, d.attempts
    FROM message a LEFT JOIN delivery d ON d.id = a.id
    WHERE a.id >= $2 AND a.bot = $1 AND a.direction = 1
), first AS (
    SELECT DISTINCT ON (reply_to) * FROM said WHERE reply_to IS NOT NULL ORDER BY reply_to, id
), answered AS (
    SELECT extract(epoch FROM f.ended - q.at)::float8 AS whole,
        greatest(extract(epoch FROM f.began - q.at), 0)::float8 AS queue,
        greatest(extract(epoch FROM f.at - f.began), 0)::float8 AS handle,
        greatest(extract(epoch FROM f.ended - f.at), 0)::float8 AS send
    FROM first f JOIN message q ON q.id = f.reply_to
    WHERE q.id >= $2 AND q.direction = 0 AND f.outcome = 'sent'
)
SELECT count(*) AS answers, percentile_cont(ARRAY[0.5, 0.95, 0.99]) WITHIN GROUP (ORDER BY whole) AS seconds,
    coalesce(sum(queue), 0) AS queue, coalesce(sum(handle), 0) AS handle, coalesce(sum(send), 0) AS send,
    (SELECT coalesce(sum(attempts - 1), 0)::bigint FROM said WHERE attempts > 1) AS send_retries
FROM answered;

-- name: heard
-- Who spoke, and on which kinds of channel. $1 bot, $2 from id
SELECT count(*) AS messages, count(DISTINCT m.conversation) AS conversations, min(m.at) AS first,
    (SELECT coalesce(array_agg(DISTINCT kind ORDER BY kind), '{}') FROM channel WHERE bot = $1 AND deleted_at IS NULL) AS channels
FROM message m WHERE m.id >= $2 AND m.bot = $1 AND m.direction = 0;
