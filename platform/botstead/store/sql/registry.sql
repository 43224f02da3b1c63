-- Bots, channels, addresses, poll offsets: what is installed. See store/registry.py.

-- name: insert_bot
-- A new bot, or one that was deleted and comes back under its name with its history.
INSERT INTO bot (name, kind, settings) VALUES ($1, $2, $3)
ON CONFLICT (name) DO UPDATE SET kind = excluded.kind, settings = excluded.settings, secrets = NULL, enabled = true,
    problem = NULL, deleted_at = NULL
    WHERE bot.deleted_at IS NOT NULL AND NOT bot.internal
RETURNING id;

-- name: ensure_bot
-- A bot found at start: new, known, or deleted and found again.
INSERT INTO bot (name, kind) VALUES ($1, $2)
ON CONFLICT (name) DO UPDATE SET kind = excluded.kind, deleted_at = NULL,
    enabled = bot.enabled OR bot.deleted_at IS NOT NULL
    WHERE (bot.kind = excluded.kind OR bot.deleted_at IS NOT NULL) AND NOT bot.internal
RETURNING id;

-- name: lock_bot
-- One bot by name, held until the transaction ends.
SELECT id, kind, settings, secrets FROM bot WHERE name = $1 AND deleted_at IS NULL FOR UPDATE;

-- name: update_bot
-- Everything that may change.
UPDATE bot SET settings = $2, secrets = $3, enabled = coalesce($4, enabled) WHERE id = $1;

-- name: set_problem
-- Why a bot cannot run; null when it can.
UPDATE bot SET problem = $2 WHERE name = $1 AND deleted_at IS NULL AND problem IS DISTINCT FROM $2;

-- name: forget_bot
-- Really delete a bot that never had a channel, so no history names it.
DELETE FROM bot WHERE id = $1 AND NOT EXISTS (SELECT FROM channel WHERE bot = $1) RETURNING id;

-- name: hide_bot
-- Disable and hide a bot; history keeps naming it, its secrets are gone.
WITH forgotten AS (DELETE FROM bot_secret WHERE bot = $1)
UPDATE bot SET enabled = false, deleted_at = clock_timestamp(), secrets = NULL, problem = NULL WHERE id = $1;

-- name: hide_channels
-- The same for all its channels.
UPDATE channel SET enabled = false, deleted_at = clock_timestamp(), secrets = NULL WHERE bot = $1 AND deleted_at IS NULL;

-- name: http_bots
-- Every bot that is reached over HTTP, for the worker.
SELECT id, name, settings, secrets, enabled FROM bot WHERE kind = 'http' AND deleted_at IS NULL ORDER BY id;

-- name: insert_channel
-- A new channel; its secrets follow, once its id is known to bind them to.
INSERT INTO channel (public_id, bot, kind, name, settings) VALUES ($1, $2, $3, $4, $5) RETURNING id;

-- name: seal_channel
-- Keep a channel's secrets.
UPDATE channel SET secrets = $2 WHERE id = $1;

-- name: first_of_kind
-- The oldest channel of a kind of a bot.
SELECT public_id FROM channel WHERE bot = $1 AND kind = $2 AND deleted_at IS NULL ORDER BY id LIMIT 1;

-- name: lock_channel
-- One channel by its public id, held until the transaction ends.
SELECT id, settings, secrets FROM channel WHERE public_id = $1 AND deleted_at IS NULL FOR UPDATE;

-- name: update_channel
-- Everything that may change.
UPDATE channel SET settings = $2, secrets = $3, name = coalesce($4, name), enabled = coalesce($5, enabled) WHERE id = $1;

-- name: hide_channel
-- Delete a channel; history keeps naming it, its secrets are gone.
UPDATE channel SET enabled = false, deleted_at = clock_timestamp(), secrets = NULL
WHERE public_id = $1 AND deleted_at IS NULL RETURNING id;

-- name: set_health
-- What a channel last said of itself.
UPDATE channel SET health = $2, health_at = clock_timestamp() WHERE public_id = $1;

-- name: accounts
-- Every channel with its bot, for the directory. $1 public id, $2 number: one of them, or both null for all.
SELECT c.id, c.public_id, c.kind, c.bot, b.name AS bot_name, c.name, c.settings, c.secrets, c.enabled AND b.enabled AS enabled
FROM channel c JOIN bot b ON b.id = c.bot
WHERE c.deleted_at IS NULL AND b.deleted_at IS NULL AND ($1::text IS NULL OR c.public_id = $1) AND ($2::integer IS NULL OR c.id = $2)
ORDER BY c.id;

-- name: move
-- A conversation got another external id. The newest row is where we send.
INSERT INTO address (channel, external, conversation) VALUES ($1, $2, $3)
ON CONFLICT (channel, external) DO UPDATE SET conversation = excluded.conversation, at = clock_timestamp();

-- name: addresses
-- Every other external id, oldest first.
SELECT channel, external, conversation FROM address ORDER BY at, external;

-- name: poll_offset
-- Where long polling goes on.
SELECT next FROM poll_offset WHERE channel = $1;

-- name: save_poll_offset
-- Everything below it is in the inbox; it never goes back.
INSERT INTO poll_offset (channel, next) VALUES ($1, $2)
ON CONFLICT (channel) DO UPDATE SET next = greatest(poll_offset.next, excluded.next), at = clock_timestamp();

-- name: holds_sealed
-- Whether anything is sealed here: then the key ring that sealed it must not be replaced by a new one.
SELECT EXISTS (SELECT FROM channel WHERE secrets IS NOT NULL) OR EXISTS (SELECT FROM bot WHERE secrets IS NOT NULL)
    OR EXISTS (SELECT FROM bot_secret) AS sealed;
