-- The hot statements of the road. One statement a stage: several in a transaction cost 10 % CPU and 26 % throughput.
-- Tables and protocol: platform/README.md, «The road».
-- The planner knows little about young tables and about queues, and what it chose is kept. So history is looked up row by row, in the
-- order of ids, for which it has one index only; and see store/postgres.py, BY_INDEX and BY_KEY.

-- name: ingest
-- Keep new events: dedup, history, inbox. Sorted by dedup key, or two ingest processes deadlock.
WITH new AS MATERIALIZED (
    SELECT nextval('message_id') AS id, t.*
    FROM unnest($1::integer[], $2::text[], $3::smallint[], $4::integer[], $5::text[], $6::text[], $7::text[], $8::uuid[], $9::smallint[])
        AS t (channel, key, partition, bot, conversation, body, payload, trace, direction)
), fresh AS (
    INSERT INTO seen (channel, key, id) SELECT channel, key, id FROM new ORDER BY channel, key ON CONFLICT DO NOTHING
    RETURNING channel, key
), kept AS MATERIALIZED (
    SELECT new.* FROM new JOIN fresh USING (channel, key)
), history AS (
    INSERT INTO message (id, direction, bot, channel, conversation, body, payload, trace)
    SELECT id, direction, bot, channel, conversation, body, payload, trace FROM kept
), todo AS (
    INSERT INTO inbox (partition, bot, id, conversation) SELECT partition, bot, id, conversation FROM kept
)
SELECT id, channel, key FROM kept;

-- name: known
-- The id that a dedup key got the first time.
SELECT id FROM seen WHERE channel = $1 AND key = $2;

-- name: read
-- Pending rows of my partitions, each bot its own page in id order; never «id > last seen»: commit order is not id order.
-- From 0 on for whatever bot has some, or from an id on for those named: pipeline/horizon.py says when.
SELECT i.partition, i.bot, i.id, i.conversation, i.claims, i.attempts,
    coalesce(extract(epoch FROM i.not_before - clock_timestamp()), 0)::float8 AS wait,
    coalesce(extract(epoch FROM clock_timestamp() - i.first_failed), 0)::float8 AS failing,
    m.channel, m.body, m.payload, m.trace, extract(epoch FROM m.at)::float8 AS at, m.direction
FROM unnest($1::smallint[]) AS p (n)
CROSS JOIN LATERAL (
    WITH RECURSIVE b (bot) AS (
        (SELECT bot FROM inbox WHERE partition = p.n AND $5::bigint = 0 ORDER BY bot LIMIT 1)
        UNION ALL
        SELECT (SELECT x.bot FROM inbox x WHERE x.partition = p.n AND x.bot > b.bot ORDER BY x.bot LIMIT 1) FROM b WHERE b.bot IS NOT NULL
    )
    SELECT bot FROM b WHERE bot IS NOT NULL AND NOT (bot = ANY ($4::integer[]))
    UNION ALL SELECT bot FROM unnest($6::integer[]) AS named (bot)
) b
CROSS JOIN LATERAL (
    SELECT * FROM inbox x WHERE x.partition = p.n AND x.bot = b.bot AND x.id > $5 AND NOT (x.id = ANY ($2::bigint[])) ORDER BY x.id LIMIT $3
) i
CROSS JOIN LATERAL (SELECT * FROM message x WHERE x.id >= i.id AND x.id <= i.id ORDER BY x.id LIMIT 1) m
ORDER BY i.id;

-- name: states
-- State of conversations that are not in the owner's memory.
SELECT c.bot, c.conversation, c.version, c.state
FROM unnest($1::integer[], $2::text[]) AS w (bot, conversation)
CROSS JOIN LATERAL (SELECT * FROM conversation x WHERE x.bot = w.bot AND x.conversation = w.conversation OFFSET 0) c;

-- name: outcome
-- Everything that handling a batch of messages did, or nothing: done, state, replies, forwards, dead letters.
-- The fence locks my worker row; a state version that does not fit divides by zero and rolls the batch back.
WITH fence AS MATERIALIZED (
    SELECT 1 FROM worker WHERE id = $1 FOR KEY SHARE
), done AS (
    DELETE FROM inbox i USING unnest($2::smallint[], $3::integer[], $4::bigint[]) AS d (partition, bot, id), fence
    WHERE i.partition = d.partition AND i.bot = d.bot AND i.id = d.id
    RETURNING i.id, i.partition, i.bot, i.conversation
), wanted AS (
    SELECT done.bot, done.conversation, s.version, s.state
    FROM unnest($5::bigint[], $6::bigint[], $7::text[]) AS s (in_id, version, state) JOIN done ON done.id = s.in_id
), states AS (
    INSERT INTO conversation (bot, conversation, version, state) SELECT bot, conversation, version, state FROM wanted ORDER BY bot, conversation
    ON CONFLICT (bot, conversation) DO UPDATE SET version = excluded.version, state = excluded.state
        WHERE conversation.version = excluded.version - 1
    RETURNING 1
), replies AS MATERIALIZED (
    SELECT nextval('message_id') AS id, q.* FROM (
        SELECT done.partition, done.bot, done.conversation, r.*
        FROM unnest($8::bigint[], $9::integer[], $10::text[], $11::text[], $12::uuid[], $13::float8[])
            WITH ORDINALITY AS r (in_id, channel, body, payload, trace, began, n)
        JOIN done ON done.id = r.in_id ORDER BY r.n
    ) q
), history AS (
    INSERT INTO message (id, direction, bot, channel, conversation, reply_to, body, payload, trace, began)
    SELECT id, 1, bot, channel, conversation, in_id, body, payload, trace, to_timestamp(began) FROM replies
), to_send AS (
    INSERT INTO outbox (partition, id) SELECT partition, id FROM replies
), forwards AS MATERIALIZED (
    SELECT nextval('message_id') AS id, done.bot, f.*
    FROM unnest($14::bigint[], $15::smallint[], $16::integer[], $17::text[], $18::text[], $19::uuid[])
        AS f (in_id, partition, channel, conversation, payload, trace)
    JOIN done ON done.id = f.in_id
), forwarded AS (
    INSERT INTO message (id, direction, bot, channel, conversation, reply_to, payload, trace)
    SELECT id, 2, bot, channel, conversation, in_id, payload, trace FROM forwards
), forward_todo AS (
    INSERT INTO inbox (partition, bot, id, conversation) SELECT partition, bot, id, conversation FROM forwards
), parked AS (
    INSERT INTO dead_letter (id, direction, bot, channel, conversation, reason, error, attempts, trace)
    SELECT done.id, m.direction, done.bot, m.channel, done.conversation, p.reason, p.error, p.attempts, m.trace
    FROM unnest($20::bigint[], $21::text[], $22::text[], $23::smallint[]) AS p (in_id, reason, error, attempts)
    JOIN done ON done.id = p.in_id
    CROSS JOIN LATERAL (SELECT * FROM message x WHERE x.id = done.id AND x.conversation = done.conversation OFFSET 0) m
    ON CONFLICT (id) DO UPDATE SET reason = excluded.reason, error = excluded.error, attempts = excluded.attempts,
        at = clock_timestamp(), replayed_at = NULL
)
SELECT done.id AS in_id, replies.id AS out_id,
    1 / ((SELECT count(*) FROM states) = (SELECT count(*) FROM wanted))::integer AS fits
FROM done LEFT JOIN replies ON replies.in_id = done.id ORDER BY replies.id;

-- name: failed
-- A handler failed: count it and say when to try again.
UPDATE inbox i SET attempts = i.attempts + d.counted, claims = i.claims + d.crashed, error = d.error,
    not_before = clock_timestamp() + make_interval(secs => d.wait), first_failed = coalesce(i.first_failed, clock_timestamp())
FROM unnest($2::smallint[], $3::integer[], $4::bigint[], $5::float8[], $6::text[], $7::smallint[], $8::smallint[])
    AS d (partition, bot, id, wait, error, counted, crashed),
    (SELECT 1 FROM worker WHERE id = $1 FOR KEY SHARE) fence
WHERE i.partition = d.partition AND i.bot = d.bot AND i.id = d.id
RETURNING i.id;

-- name: suspect
-- Count a claim on rows that may have killed their last process, before they run again.
UPDATE inbox i SET claims = i.claims + 1
FROM unnest($2::smallint[], $3::integer[], $4::bigint[]) AS d (partition, bot, id), (SELECT 1 FROM worker WHERE id = $1 FOR KEY SHARE) fence
WHERE i.partition = d.partition AND i.bot = d.bot AND i.id = d.id;

-- name: marks
-- What became of sends. On a connection with synchronous_commit = off: losing a mark costs a duplicate send, never a message.
WITH mark AS (
    SELECT * FROM unnest($1::smallint[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[], $7::smallint[])
        AS z (partition, id, outcome, external_id, reason, detail, attempts)
), gone AS (
    DELETE FROM outbox q USING mark WHERE q.partition = mark.partition AND q.id = mark.id RETURNING q.id
), kept AS (
    INSERT INTO delivery (id, outcome, external_id, reason, detail, attempts)
    SELECT mark.id, mark.outcome, mark.external_id, mark.reason, mark.detail, mark.attempts FROM mark JOIN gone USING (id)
    ON CONFLICT (id) DO UPDATE SET outcome = excluded.outcome, external_id = excluded.external_id, reason = excluded.reason,
        detail = excluded.detail, attempts = excluded.attempts, at = clock_timestamp()
)
INSERT INTO dead_letter (id, direction, bot, channel, conversation, reason, error, attempts, trace)
SELECT mark.id, 1, m.bot, m.channel, m.conversation, mark.reason, mark.detail, mark.attempts, m.trace
FROM mark JOIN gone USING (id) CROSS JOIN LATERAL (SELECT * FROM message x WHERE x.id = mark.id OFFSET 0) m WHERE mark.outcome <> 'sent'
ON CONFLICT (id) DO UPDATE SET reason = excluded.reason, error = excluded.error, attempts = excluded.attempts,
    at = clock_timestamp(), replayed_at = NULL;

-- name: postpone
-- A send has to wait: throttled, provider unavailable, outcome unknown.
UPDATE outbox q SET attempts = z.attempts, not_before = clock_timestamp() + make_interval(secs => z.wait), unknown = q.unknown OR z.unknown
FROM unnest($1::smallint[], $2::bigint[], $3::smallint[], $4::float8[], $5::boolean[]) AS z (partition, id, attempts, wait, unknown)
WHERE q.partition = z.partition AND q.id = z.id;

-- name: unsent
-- What is still to be sent in partitions just claimed, before their inbox is read.
SELECT o.partition, o.id, o.attempts, o.unknown, coalesce(extract(epoch FROM o.not_before - clock_timestamp()), 0)::float8 AS wait,
    m.bot, m.channel, m.conversation, m.body, m.payload, m.trace, extract(epoch FROM m.at)::float8 AS at,
    extract(epoch FROM coalesce((SELECT q.at FROM message q WHERE q.id >= m.reply_to AND q.id <= m.reply_to ORDER BY q.id LIMIT 1), m.at))::float8 AS received
FROM outbox o CROSS JOIN LATERAL (SELECT * FROM message x WHERE x.id >= o.id AND x.id <= o.id ORDER BY x.id LIMIT 1) m WHERE o.partition = ANY ($1::smallint[]) ORDER BY o.id;

-- name: overlooked
-- Sends of my partitions that are in nobody's memory (an operator's replay, an outcome whose answer never came).
SELECT o.partition, o.id, o.attempts, o.unknown, coalesce(extract(epoch FROM o.not_before - clock_timestamp()), 0)::float8 AS wait,
    m.bot, m.channel, m.conversation, m.body, m.payload, m.trace, extract(epoch FROM m.at)::float8 AS at,
    extract(epoch FROM coalesce((SELECT q.at FROM message q WHERE q.id >= m.reply_to AND q.id <= m.reply_to ORDER BY q.id LIMIT 1), m.at))::float8 AS received
FROM outbox o CROSS JOIN LATERAL (SELECT * FROM message x WHERE x.id >= o.id AND x.id <= o.id ORDER BY x.id LIMIT 1) m
WHERE o.partition = ANY ($1::smallint[]) AND NOT (o.id = ANY ($2::bigint[]))
ORDER BY o.id LIMIT $3;

-- name: ghost
-- After an outcome whose answer never came: the sends of one conversation.
SELECT o.partition, o.id, o.attempts, o.unknown, coalesce(extract(epoch FROM o.not_before - clock_timestamp()), 0)::float8 AS wait,
    m.bot, m.channel, m.conversation, m.body, m.payload, m.trace, extract(epoch FROM m.at)::float8 AS at,
    extract(epoch FROM coalesce((SELECT q.at FROM message q WHERE q.id >= m.reply_to AND q.id <= m.reply_to ORDER BY q.id LIMIT 1), m.at))::float8 AS received
FROM outbox o CROSS JOIN LATERAL (SELECT * FROM message x WHERE x.id >= o.id AND x.id <= o.id ORDER BY x.id LIMIT 1) m WHERE o.partition = $1 AND m.conversation = $2 ORDER BY o.id;

-- name: bury_name
-- A restarted worker buries its own past: its slot name is free again and its partitions are too.
DELETE FROM worker WHERE name = $1;

-- name: join
-- Take a new worker id under a slot name. The id is the fence.
INSERT INTO worker (name, lease_until) VALUES ($1, clock_timestamp() + make_interval(secs => $2)) RETURNING id;

-- name: renew
-- Nothing returned: I am dead to the others.
UPDATE worker SET lease_until = clock_timestamp() + make_interval(secs => $2) WHERE id = $1 RETURNING 1;

-- name: workers
-- Who is alive.
SELECT id, name, lease_until < clock_timestamp() AS expired FROM worker ORDER BY id;

-- name: bury
-- Bury the expired; never within one lease of a Postgres start, when everybody's renewals are late. A start that lies in the
-- future tells of a clock that was set back, and protects nobody.
DELETE FROM worker WHERE id IN (
    SELECT id FROM worker WHERE lease_until < clock_timestamp() AND pg_postmaster_start_time() NOT BETWEEN clock_timestamp() - make_interval(secs => $1) AND clock_timestamp()
    FOR UPDATE SKIP LOCKED
) AND lease_until < clock_timestamp() RETURNING id;

-- name: claim
-- Take free partitions: those whose worker's row is gone. NULL was handed back; any other died, so be careful.
-- Free for me are also those that name me without my knowing: a claim whose answer never came.
WITH me AS MATERIALIZED (
    SELECT id FROM worker WHERE id = $1 FOR KEY SHARE
), free AS MATERIALIZED (
    SELECT partition FROM partition q
    WHERE NOT EXISTS (SELECT FROM worker w WHERE w.id = q.worker) OR (q.worker = $1 AND NOT (q.partition = ANY ($3::smallint[])))
    ORDER BY worker IS NOT NULL, partition LIMIT $2 FOR UPDATE SKIP LOCKED
)
UPDATE partition p SET worker = me.id, careful = p.careful OR coalesce(p.worker <> me.id, false) FROM free, me WHERE p.partition = free.partition
RETURNING p.partition, p.careful;

-- name: release
-- Hand partitions back in good order.
UPDATE partition SET worker = NULL, careful = false WHERE partition = ANY ($2::smallint[]) AND worker = $1;

-- name: calm
-- The suspects of these partitions have all ended well.
UPDATE partition SET careful = false WHERE partition = ANY ($2::smallint[]) AND worker = $1;

-- name: eject
-- The loop is blocked: count the try on the row that blocks it and hand everything back.
WITH blamed AS (
    UPDATE inbox SET claims = claims + 1, error = 'the handler blocked its process' WHERE id = $2 AND partition = $3
), dead AS (
    DELETE FROM worker WHERE id = $1
)
UPDATE partition SET worker = NULL, careful = false WHERE worker = $1;

-- name: waiting
-- How much waits, counted up to a limit.
SELECT count(*) AS waiting FROM (SELECT 1 FROM inbox LIMIT $1) AS pending;

-- name: extend
-- Add the parts of history that the next ids need.
SELECT extend_message() AS made;

-- name: forget
-- Drop dedup keys that no provider will send again, in batches.
DELETE FROM seen WHERE ctid IN (SELECT ctid FROM seen WHERE at < now() - make_interval(days => $1) LIMIT $2);

-- name: lead
-- One scheduler does the upkeep; the lock ends with its connection.
SELECT pg_try_advisory_lock(hashtext('botstead scheduler')) AS leads;
