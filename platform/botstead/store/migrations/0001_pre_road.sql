-- The road: who talks where, what was said, what is still to be done. See platform/README.md, «Tables».

-- Order across ingest processes rests on CACHE 1: never raise it.
CREATE SEQUENCE message_id CACHE 1;

CREATE TABLE bot (
    id integer PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    name text NOT NULL UNIQUE CHECK (name ~ '^[a-z][a-z0-9-]{0,62}$'),
    kind text NOT NULL CHECK (kind IN ('python', 'http')),
    settings jsonb NOT NULL DEFAULT '{}',
    secrets bytea,                              -- sealed, see runtime/sealing.py
    enabled boolean NOT NULL DEFAULT true,
    problem text,                               -- why it cannot run, for the operator; null when it can
    deleted_at timestamptz,                     -- hidden; history keeps naming it
    created_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE TABLE channel (
    id integer PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    public_id text NOT NULL UNIQUE,
    bot integer NOT NULL REFERENCES bot (id),
    kind text NOT NULL,
    name text NOT NULL DEFAULT '',
    settings jsonb NOT NULL DEFAULT '{}',
    secrets bytea,                              -- sealed
    enabled boolean NOT NULL DEFAULT true,
    deleted_at timestamptz,                     -- history keeps naming it
    health jsonb,
    health_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX channel_bot ON channel (bot);

-- Other external ids of a conversation (a Telegram group that became a supergroup). The newest row is where we send.
CREATE TABLE address (
    channel integer NOT NULL REFERENCES channel (id),
    external text NOT NULL,
    conversation text NOT NULL,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (channel, external)
);
CREATE INDEX address_conversation ON address (conversation);

-- Long polling: everything below this offset is in the inbox.
CREATE TABLE poll_offset (
    channel integer PRIMARY KEY REFERENCES channel (id),
    next bigint NOT NULL,
    at timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE TABLE api_key (
    id text PRIMARY KEY,
    name text NOT NULL DEFAULT '',
    digest bytea NOT NULL,                      -- HMAC-SHA256 of the secret part under the key ring's pepper
    scopes text[] NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires_at timestamptz,
    last_used_at timestamptz,
    revoked_at timestamptz
);

-- Dedup: kept 8 days, longer than any provider retries. Not partitioned: the key must stay unique across days.
CREATE TABLE seen (
    channel integer NOT NULL,
    key text NOT NULL,
    id bigint NOT NULL,                         -- message.id of the first one
    at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (channel, key)
);
CREATE INDEX seen_at ON seen USING brin (at);

-- History. direction: 0 in, 1 out, 2 internal (asked for by an operator or another conversation).
CREATE TABLE message (
    id bigint NOT NULL,
    direction smallint NOT NULL,
    bot integer NOT NULL,
    channel integer NOT NULL,
    conversation text NOT NULL,
    reply_to bigint,
    body text,
    payload text,                               -- in: the event without its text; out: the action without its text
    trace uuid,
    began timestamptz,                          -- out: when the handler that said this began
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (id)
) PARTITION BY RANGE (id);
CREATE INDEX message_conversation ON message (conversation, id);

-- What became of each thing sent.
CREATE TABLE delivery (
    id bigint PRIMARY KEY,                      -- message.id
    outcome text NOT NULL CHECK (outcome IN ('sent', 'failed', 'unknown')),
    external_id text,
    reason text,
    detail text,
    attempts smallint NOT NULL DEFAULT 1,
    at timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE TABLE inbox (
    partition smallint NOT NULL,
    bot integer NOT NULL,
    id bigint NOT NULL,
    conversation text NOT NULL,
    claims smallint NOT NULL DEFAULT 0,         -- runs that ended with the death of their process
    attempts smallint NOT NULL DEFAULT 0,       -- runs that ended with an error
    not_before timestamptz,
    first_failed timestamptz,
    error text,
    PRIMARY KEY (partition, bot, id)
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0, vacuum_truncate = off);

CREATE TABLE outbox (
    partition smallint NOT NULL,
    id bigint NOT NULL,                         -- message.id: the body lies there once
    attempts smallint NOT NULL DEFAULT 0,
    not_before timestamptz,
    unknown boolean NOT NULL DEFAULT false,     -- an earlier attempt may have arrived
    PRIMARY KEY (partition, id)
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0, vacuum_truncate = off);

CREATE TABLE conversation (
    bot integer NOT NULL,
    conversation text NOT NULL,
    version bigint NOT NULL,
    state text NOT NULL,
    PRIMARY KEY (bot, conversation)
) WITH (fillfactor = 70);

-- One row a worker process. The id is never reused: it is the fence.
CREATE TABLE worker (
    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    name text NOT NULL UNIQUE,
    lease_until timestamptz NOT NULL
) WITH (fillfactor = 50);

-- Free when its worker's row is gone. NULL: handed back; any other: its worker died, so be careful.
CREATE TABLE partition (
    partition smallint PRIMARY KEY,
    worker bigint,
    careful boolean NOT NULL DEFAULT false
) WITH (fillfactor = 50);
INSERT INTO partition (partition) SELECT n FROM generate_series(0, 63) AS n;

CREATE TABLE dead_letter (
    id bigint PRIMARY KEY,                      -- message.id
    direction smallint NOT NULL,
    bot integer NOT NULL,
    channel integer NOT NULL,
    conversation text NOT NULL,
    reason text NOT NULL,                       -- crashed, failed, blocked, deadline, invalid, gone, …
    error text,
    attempts smallint NOT NULL DEFAULT 0,
    trace uuid,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    replayed_at timestamptz
);
CREATE INDEX dead_letter_bot ON dead_letter (bot, id);

-- Adds the parts of `message` that the next ids need, 500,000 ids each, always four ahead.
CREATE FUNCTION extend_message() RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    size constant bigint := 500000;
    first bigint;
    made integer := 0;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('botstead extend_message'));
    SELECT CASE WHEN is_called THEN last_value ELSE 0 END / size INTO first FROM message_id;
    FOR n IN first .. first + 4 LOOP
        IF to_regclass(format('message_%s', n)) IS NULL THEN
            EXECUTE format('CREATE TABLE message_%s PARTITION OF message FOR VALUES FROM (%s) TO (%s)', n, n * size, (n + 1) * size);
            made := made + 1;
        END IF;
    END LOOP;
    RETURN made;
END $$;
SELECT extend_message();
