-- What the chat page reads: rows of one visitor's conversation in the history table.
-- Ids are not in commit order: whoever reads «above a floor» must also name the ids above it that it has read.

-- name: read_above
-- Rows above a floor that were not read yet, oldest first. Direction 2 is internal and never shown.
SELECT id, direction, coalesce(body, '') AS body, payload, extract(epoch FROM at)::float8 AS at, reply_to
FROM message
WHERE conversation = $1 AND id > $2 AND direction < 2 AND NOT (id = ANY ($3::bigint[]))
ORDER BY id
LIMIT $4;

-- name: opening
-- The newest messages, without the edits and deletions of older ones: how many (at most $2), and the first one's id.
SELECT count(*) AS found, min(id) AS first
FROM (
    SELECT id
    FROM message
    WHERE conversation = $1
      AND (direction = 0 OR (direction = 1 AND (payload IS NULL OR payload LIKE '{"type":"send"%')))
    ORDER BY id DESC
    LIMIT $2
) AS newest;

-- name: count_above
-- How many rows lie above each conversation's floor: one statement tells which of all open streams have something to read.
SELECT (
    SELECT count(*)
    FROM message
    WHERE message.conversation = asked.conversation AND message.id > asked.floor AND message.direction < 2
) AS rows
FROM unnest($1::text[], $2::bigint[]) WITH ORDINALITY AS asked (conversation, floor, place)
ORDER BY place;
