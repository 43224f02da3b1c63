-- How Postgres and the queues are, for the metrics of the leading scheduler. See store/vitals.py.

-- name: server
-- Connections, the oldest transaction, size, deadlocks, and the server's own clock.
SELECT extract(epoch FROM clock_timestamp())::float8 AS clock,
    (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend')::float8
        / greatest(1, current_setting('max_connections')::integer - current_setting('superuser_reserved_connections')::integer) AS connections,
    coalesce((
        SELECT extract(epoch FROM max(clock_timestamp() - xact_start)) FROM pg_stat_activity
        WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()
    ), 0)::float8 AS longest,
    pg_database_size(current_database()) AS size,
    (SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()) AS deadlocks,
    current_setting('server_version_num')::integer AS version;

-- name: checkpoints
-- How many were asked for before their time. Postgres 17 moved the count, so the view is filled in, and either name is looked for.
SELECT coalesce(to_jsonb(v) ->> 'num_requested', to_jsonb(v) ->> 'checkpoints_req')::bigint AS requested FROM {view} v;

-- name: tables
-- The tables with most dead rows. $1 rows that are too few to mention, $2 at most
SELECT relname AS name, n_dead_tup::float8 / (n_live_tup + n_dead_tup) AS ratio
FROM pg_stat_user_tables WHERE n_dead_tup >= $1 ORDER BY n_dead_tup DESC LIMIT $2;

-- name: inbox
-- How much waits to be handled, and since when the oldest that could run now. $1 bot that does not count, $2 rows looked at
WITH waiting AS MATERIALIZED (
    SELECT id, coalesce(not_before <= clock_timestamp(), true) AS due FROM inbox WHERE bot <> $1 LIMIT $2
), summed AS (
    SELECT count(*) AS depth, min(id) FILTER (WHERE due) AS first FROM waiting
)
SELECT s.depth, extract(epoch FROM m.at)::float8 AS oldest
FROM summed s LEFT JOIN LATERAL (SELECT at FROM message x WHERE x.id = s.first OFFSET 0) m ON true;

-- name: outbox
-- How much waits to be sent, by kind of channel, and since when the oldest that could be sent now. Arguments as for `inbox`.
SELECT c.kind, count(*) AS depth,
    extract(epoch FROM min(m.at) FILTER (WHERE q.due AND c.enabled AND b.enabled))::float8 AS oldest
FROM (SELECT id, coalesce(not_before <= clock_timestamp(), true) AS due FROM outbox ORDER BY partition, id LIMIT $2) q
CROSS JOIN LATERAL (SELECT * FROM message x WHERE x.id = q.id OFFSET 0) m
JOIN channel c ON c.id = m.channel
JOIN bot b ON b.id = m.bot
WHERE m.bot <> $1
GROUP BY c.kind;

-- name: letters
-- Messages given up and not put back, by where they stopped. Arguments as for `inbox`.
SELECT count(*) FILTER (WHERE direction <> 1) AS unhandled, count(*) FILTER (WHERE direction = 1) AS unsent
FROM (SELECT direction FROM dead_letter WHERE replayed_at IS NULL AND bot <> $1 LIMIT $2) l;
