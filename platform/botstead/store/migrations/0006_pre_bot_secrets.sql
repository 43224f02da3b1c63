-- What bots call services with: tokens and passwords, each sealed and bound to its bot and name. See store/bot_secrets.py.

CREATE TABLE bot_secret (
    bot integer NOT NULL REFERENCES bot (id) ON DELETE CASCADE,
    name text NOT NULL CHECK (name ~ '^[a-z][a-z0-9_]{0,62}$'),
    sealed bytea NOT NULL,
    set_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (bot, name)
);
