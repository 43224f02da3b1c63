-- API keys, see store/keys.py.

-- name: find
-- One key by its public part, for authentication.
SELECT id, name, digest, scopes, expires_at, revoked_at,
       last_used_at IS NULL OR last_used_at < clock_timestamp() - interval '1 minute' AS stale
FROM api_key WHERE id = $1;

-- name: touch
-- Note the use of a key, at most once a minute whoever asks.
UPDATE api_key SET last_used_at = clock_timestamp()
WHERE id = $1 AND (last_used_at IS NULL OR last_used_at < clock_timestamp() - interval '1 minute');

-- name: insert
-- Keep a new key; one that is known stays as it is, revoked ones too.
INSERT INTO api_key (id, name, digest, scopes, expires_at) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (id) DO NOTHING RETURNING id;

-- name: revoke
-- End a key now; its row stays for the list.
UPDATE api_key SET revoked_at = clock_timestamp() WHERE id = $1 AND revoked_at IS NULL RETURNING id;

-- name: any_admin
-- Whether somebody holds a key that may do everything.
SELECT EXISTS (SELECT FROM api_key WHERE 'admin' = ANY (scopes) AND revoked_at IS NULL
               AND (expires_at IS NULL OR expires_at > clock_timestamp()));
