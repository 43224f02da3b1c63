-- Secrets of bots, see store/bot_secrets.py.

-- name: lock_bot
-- The number of a bot that is not deleted; it stays until the transaction ends.
SELECT id FROM bot WHERE name = $1 AND deleted_at IS NULL FOR KEY SHARE;

-- name: set
-- Keep a secret, new or instead of the one before.
INSERT INTO bot_secret (bot, name, sealed) VALUES ($1, $2, $3)
ON CONFLICT (bot, name) DO UPDATE SET sealed = excluded.sealed, set_at = clock_timestamp()
RETURNING name, set_at;

-- name: count
-- How many a bot has, besides one of this name.
SELECT count(*) FROM bot_secret WHERE bot = $1 AND name <> $2;

-- name: list
-- Names and times of a bot's secrets.
SELECT name, set_at FROM bot_secret WHERE bot = $1 ORDER BY name;

-- name: delete
-- Forget a secret.
DELETE FROM bot_secret WHERE bot = $1 AND name = $2 RETURNING name;

-- name: all
-- Every secret of every bot, for those who run them.
SELECT s.bot AS number, b.name AS bot, s.name, s.sealed FROM bot_secret s JOIN bot b ON b.id = s.bot
WHERE b.deleted_at IS NULL ORDER BY s.bot, s.name;

-- name: reseal
-- Keep a secret under another key, unless it was set anew meanwhile.
UPDATE bot_secret SET sealed = $4 WHERE bot = $1 AND name = $2 AND sealed = $3;
