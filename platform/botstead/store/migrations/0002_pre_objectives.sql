-- Objectives: what was counted of each promise, and what each bot promises for itself. See platform/README.md, «Objectives».

-- One row for everything that is counted: an objective, and the labels that have a budget each.
CREATE TABLE objective_series (
    id integer PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    objective text NOT NULL,
    labels jsonb NOT NULL DEFAULT '{}',
    UNIQUE (objective, labels)
);

-- The ledger: windows of five minutes, of an hour when they are old. Only windows in which something happened.
CREATE TABLE objective_ledger (
    series integer NOT NULL REFERENCES objective_series (id),
    at timestamptz NOT NULL,                    -- when the window begins
    bad bigint NOT NULL,
    total bigint NOT NULL,
    PRIMARY KEY (series, at)
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05);
CREATE INDEX objective_ledger_at ON objective_ledger USING brin (at);

-- The last batch that each process added, so that one whose answer was lost is not added again.
CREATE TABLE objective_writer (
    writer uuid PRIMARY KEY,
    batch bigint NOT NULL,
    at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- What `bot.toml` says; target and critical are null where the objective's own hold.
CREATE TABLE bot_promise (
    bot integer PRIMARY KEY REFERENCES bot (id) ON DELETE CASCADE,
    seconds float8 NOT NULL,
    target numeric,
    critical boolean NOT NULL DEFAULT false
);
