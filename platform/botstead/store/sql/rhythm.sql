-- How often channels bring something, and what was turned away. See store/rhythm.py.

-- name: newest
-- The newest message id that was ever given out.
SELECT CASE WHEN is_called THEN last_value ELSE 0 END AS id FROM message_id;

-- name: load
-- What is known of every channel.
SELECT channel, last_id, extract(epoch FROM last_at)::float8 AS last_at, extract(epoch FROM looked_at)::float8 AS looked_at, events, seconds
FROM channel_rhythm;

-- name: events
-- Messages that came in, by channel and hour of the day. $1 above this id, $2 up to this one
SELECT channel, extract(hour FROM at AT TIME ZONE 'UTC')::integer AS hour, count(*) AS events, max(id) AS last_id,
    extract(epoch FROM max(at))::float8 AS last_at
FROM message WHERE id > $1 AND id <= $2 AND direction = 0
GROUP BY channel, hour;

-- name: save
-- $1 channel[], $2 last id[], $3 last at[] (0 for none), $4 looked at, $5 events[], $6 seconds[]: 24 of a channel one after another.
INSERT INTO channel_rhythm (channel, last_id, last_at, looked_at, events, seconds)
SELECT n.channel, n.last_id, CASE WHEN n.last_at > 0 THEN to_timestamp(n.last_at) END, to_timestamp($4),
    ($5::float8[])[(n.i - 1) * 24 + 1 : n.i * 24], ($6::float8[])[(n.i - 1) * 24 + 1 : n.i * 24]
FROM unnest($1::integer[], $2::bigint[], $3::float8[]) WITH ORDINALITY AS n (channel, last_id, last_at, i)
JOIN channel c ON c.id = n.channel
ON CONFLICT (channel) DO UPDATE SET last_id = excluded.last_id, last_at = excluded.last_at, looked_at = excluded.looked_at,
    events = excluded.events, seconds = excluded.seconds;

-- name: reject
-- Add deliveries that were turned away. $1 channel[], $2 reason[], $3 count[]
INSERT INTO channel_rejects (channel, minute, reason, count)
SELECT r.channel, date_trunc('minute', clock_timestamp()), r.reason, r.count
FROM unnest($1::integer[], $2::text[], $3::bigint[]) AS r (channel, reason, count) JOIN channel c ON c.id = r.channel
ON CONFLICT (channel, minute, reason) DO UPDATE SET count = channel_rejects.count + excluded.count;

-- name: rejects
-- Deliveries turned away lately, by channel and reason. $1 seconds
SELECT channel, reason, sum(count)::bigint AS count FROM channel_rejects
WHERE minute > clock_timestamp() - make_interval(secs => $1) GROUP BY channel, reason;

-- name: forget
-- Old minutes. $1 seconds
DELETE FROM channel_rejects WHERE minute < clock_timestamp() - make_interval(secs => $1);
