-- The ledger of objectives: what happened in each window. See store/ledger.py.

-- name: name
-- Make series known; those that are known stay. $1 objective[], $2 labels[] as JSON text
INSERT INTO objective_series (objective, labels)
SELECT objective, labels::jsonb FROM unnest($1::text[], $2::text[]) AS s (objective, labels) ORDER BY objective, labels
ON CONFLICT DO NOTHING;

-- name: numbers
-- The ids of series. Arguments as in `name`.
SELECT k.id, s.objective, s.given FROM unnest($1::text[], $2::text[]) AS s (objective, given)
JOIN objective_series k ON k.objective = s.objective AND k.labels = s.given::jsonb;

-- name: add
-- Add what one process counted, unless this batch of it was added before. In key order, or two processes deadlock.
-- $1 writer, $2 batch, $3 series[], $4 age[] in seconds, $5 bad[], $6 total[], $7 seconds of a window
WITH mine AS (
    INSERT INTO objective_writer AS w (writer, batch) VALUES ($1::uuid, $2::bigint)
    ON CONFLICT (writer) DO UPDATE SET batch = excluded.batch, at = excluded.at WHERE w.batch < excluded.batch
    RETURNING 1
)
INSERT INTO objective_ledger AS l (series, at, bad, total)
SELECT g.series, date_bin(make_interval(secs => $7::float8), now() - make_interval(secs => g.age), 'epoch'), sum(g.bad), sum(g.total)
FROM unnest($3::integer[], $4::float8[], $5::bigint[], $6::bigint[]) AS g (series, age, bad, total), mine
GROUP BY 1, 2 ORDER BY 1, 2
ON CONFLICT (series, at) DO UPDATE SET bad = l.bad + excluded.bad, total = l.total + excluded.total;

-- name: sums
-- What happened in the last so many seconds, for each of several lengths; a window that began earlier counts if it reaches into them.
-- $1 lengths[] in seconds, $2 objective or null, $3 label values as JSON text that the series must have, $4 seconds of a window
SELECT s.objective, s.labels, w.length, sum(l.bad)::bigint AS bad, sum(l.total)::bigint AS total,
    extract(epoch FROM now() - min(l.at))::float8 AS age
FROM objective_series s
CROSS JOIN unnest($1::float8[]) AS w (length)
JOIN LATERAL (
    SELECT * FROM objective_ledger x
    WHERE x.series = s.id AND x.at > now() - make_interval(secs => w.length + $4::float8)
    OFFSET 0
) l ON true
WHERE ($2::text IS NULL OR s.objective = $2) AND s.labels @> $3::jsonb
GROUP BY s.id, w.length;

-- name: merge
-- Make windows of an hour of those that are older than so many seconds. $1 age, $2 seconds of a long window
WITH old AS (
    DELETE FROM objective_ledger
    WHERE at < date_bin(make_interval(secs => $2::float8), now() - make_interval(secs => $1::float8), 'epoch')
        AND at <> date_bin(make_interval(secs => $2::float8), at, 'epoch')
    RETURNING *
)
INSERT INTO objective_ledger AS l (series, at, bad, total)
SELECT series, date_bin(make_interval(secs => $2::float8), at, 'epoch'), sum(bad), sum(total) FROM old GROUP BY 1, 2 ORDER BY 1, 2
ON CONFLICT (series, at) DO UPDATE SET bad = l.bad + excluded.bad, total = l.total + excluded.total;

-- name: forget
-- Let go of windows, and of processes that are gone, older than so many seconds. $1 age of windows, $2 of processes
WITH gone AS (
    DELETE FROM objective_writer WHERE at < now() - make_interval(secs => $2::float8)
)
DELETE FROM objective_ledger WHERE at < now() - make_interval(secs => $1::float8);

-- name: promise
-- What a bot promises. $1 bot, $2 seconds, $3 target, $4 critical
INSERT INTO bot_promise AS p (bot, seconds, target, critical) VALUES ($1, $2, $3, $4)
ON CONFLICT (bot) DO UPDATE SET seconds = excluded.seconds, target = excluded.target, critical = excluded.critical
    WHERE (p.seconds, p.target, p.critical) IS DISTINCT FROM (excluded.seconds, excluded.target, excluded.critical);

-- name: promises
-- What all bots promise.
SELECT b.name, p.seconds, p.target, p.critical FROM bot_promise p JOIN bot b ON b.id = p.bot WHERE b.deleted_at IS NULL;
