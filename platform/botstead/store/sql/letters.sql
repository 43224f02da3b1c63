-- Dead letters: what could not be handled or sent. See store/letters.py.

-- name: list
-- By falling message id. $1 below id, $2 bot, $3 channel, $4 reason, $5 direction, $6 replayed, $7 from id, $8 at most
SELECT l.id, l.direction, b.name AS bot, c.public_id AS channel, l.conversation, l.reason, l.error, l.attempts, l.trace, l.at, l.replayed_at
FROM dead_letter l
JOIN bot b ON b.id = l.bot
JOIN channel c ON c.id = l.channel
WHERE l.id < $1 AND ($2::integer IS NULL OR l.bot = $2) AND ($3::integer IS NULL OR l.channel = $3)
    AND ($4::text IS NULL OR l.reason = $4) AND ($5::smallint IS NULL OR l.direction = $5)
    AND ($6::boolean IS NULL OR (l.replayed_at IS NOT NULL) = $6) AND l.id >= $7
    AND ($2::integer IS NOT NULL OR $3::integer IS NOT NULL OR NOT b.internal)
ORDER BY l.id DESC LIMIT $8;

-- name: count
-- How many a replay would take. Arguments as in `take`.
SELECT count(*) FROM dead_letter
WHERE replayed_at IS NULL AND id >= $1 AND id < $2 AND ($3::integer IS NULL OR bot = $3) AND ($4::integer IS NULL OR channel = $4)
    AND ($5::text IS NULL OR reason = $5) AND ($6::smallint IS NULL OR direction = $6);

-- name: take
-- Mark the oldest as replayed; a row is taken once for each failure, whoever asks at the same time.
-- $1 from id, $2 below id, $3 bot, $4 channel, $5 reason, $6 direction, $7 at most
WITH mine AS MATERIALIZED (
    SELECT id FROM dead_letter
    WHERE replayed_at IS NULL AND id >= $1 AND id < $2 AND ($3::integer IS NULL OR bot = $3) AND ($4::integer IS NULL OR channel = $4)
        AND ($5::text IS NULL OR reason = $5) AND ($6::smallint IS NULL OR direction = $6)
    ORDER BY id LIMIT $7 FOR UPDATE SKIP LOCKED
)
UPDATE dead_letter l SET replayed_at = clock_timestamp() FROM mine WHERE l.id = mine.id
RETURNING l.id, l.direction, l.bot, l.conversation;

-- name: take_one
-- The same for one.
UPDATE dead_letter SET replayed_at = clock_timestamp() WHERE id = $1 AND replayed_at IS NULL
RETURNING id, direction, bot, conversation;

-- name: exists
-- Whether there is such a letter, replayed or not.
SELECT EXISTS (SELECT FROM dead_letter WHERE id = $1);

-- name: into_inbox
-- Handle again, as if it came for the first time. $1 partition[], $2 bot[], $3 id[], $4 conversation[]
INSERT INTO inbox (partition, bot, id, conversation)
SELECT * FROM unnest($1::smallint[], $2::integer[], $3::bigint[], $4::text[])
ON CONFLICT DO NOTHING;

-- name: into_outbox
-- Send again. $1 partition[], $2 id[]
INSERT INTO outbox (partition, id) SELECT * FROM unnest($1::smallint[], $2::bigint[]) ON CONFLICT DO NOTHING;

-- name: forget_outcome
-- What is sent again has no outcome yet. $1 id[]
DELETE FROM delivery WHERE id = ANY ($1::bigint[]);

-- name: purge
-- Let go of letters that are older than so many seconds.
DELETE FROM dead_letter WHERE at < clock_timestamp() - make_interval(secs => $1) RETURNING id;
