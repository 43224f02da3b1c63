-- Signs of life: the canary's own bot, and how often each channel brings something. See platform/README.md, «Signs of life».

-- Lists of bots, channels, conversations and messages leave an internal bot out unless it is asked for by name.
ALTER TABLE bot ADD COLUMN internal boolean NOT NULL DEFAULT false;

-- How often a channel brings a message, by the hour of the day (UTC). Old days fade: see operate/rhythm.py.
CREATE TABLE channel_rhythm (
    channel integer PRIMARY KEY REFERENCES channel (id),
    last_id bigint NOT NULL DEFAULT 0,          -- the newest message counted
    last_at timestamptz,                        -- when it came
    looked_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    events float8[] NOT NULL,                   -- messages, 24 of them
    seconds float8[] NOT NULL,                  -- time that they were counted over, likewise
    CHECK (cardinality(events) = 24 AND cardinality(seconds) = 24)
);

-- Deliveries that were turned away, by channel, as every API process adds its own.
CREATE TABLE channel_rejects (
    channel integer NOT NULL REFERENCES channel (id),
    minute timestamptz NOT NULL,
    reason text NOT NULL,
    count bigint NOT NULL,
    PRIMARY KEY (channel, minute, reason)
);
