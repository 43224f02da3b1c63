-- Money: what was asked for, what was tried at the provider, and what the provider said. See platform/README.md, «Payments».

CREATE TABLE payment (
    number bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    id text NOT NULL UNIQUE CHECK (id ~ '^pay_[0-9A-Za-z]{20,40}$'),
    message bigint NOT NULL UNIQUE,             -- message.id of the action that asks for it: repeats find the same row
    key uuid NOT NULL DEFAULT gen_random_uuid(),    -- what the provider's idempotency keys are made of
    bot integer NOT NULL REFERENCES bot (id),
    account integer NOT NULL REFERENCES channel (id),   -- the payment account
    channel integer NOT NULL REFERENCES channel (id),   -- where the buyer is
    conversation text NOT NULL,                 -- the buyer's
    partition smallint NOT NULL,                -- of that conversation
    provider text NOT NULL,                     -- the account's kind
    reference text NOT NULL DEFAULT '',
    title text NOT NULL,
    amount bigint NOT NULL CHECK (amount > 0),  -- in the currency's smallest unit
    currency text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    state text NOT NULL DEFAULT 'opened'
        CHECK (state IN ('opened', 'pending', 'approved', 'paid', 'fulfilled', 'failed', 'expired', 'refunded')),
    refunded bigint NOT NULL DEFAULT 0 CHECK (refunded BETWEEN 0 AND amount),
    session text NOT NULL DEFAULT '',           -- the provider's id of its page or order
    payment text NOT NULL DEFAULT '',           -- the provider's id of the money taken
    url text NOT NULL DEFAULT '',
    detail text NOT NULL DEFAULT '',
    held boolean NOT NULL DEFAULT false,        -- what was paid is not what was asked for: a person has to look
    news bigint,                                -- message.id by which the bot is told that it is paid
    trace uuid,
    asks smallint NOT NULL DEFAULT 0,           -- how often the provider was asked
    ask_at timestamptz NOT NULL,                -- when it is asked next, unless it says something before
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    pending_at timestamptz,
    approved_at timestamptz,
    paid_at timestamptz,
    fulfilled_at timestamptz,
    failed_at timestamptz,
    expired_at timestamptz,
    refunded_at timestamptz
);
CREATE INDEX payment_bot ON payment (bot, number);
CREATE INDEX payment_conversation ON payment (conversation, number);
CREATE INDEX payment_session ON payment (account, session) WHERE session <> '';
CREATE INDEX payment_payment ON payment (account, payment) WHERE payment <> '';
CREATE INDEX payment_ask ON payment (ask_at) WHERE state IN ('opened', 'pending', 'approved');
CREATE INDEX payment_paid ON payment (number) WHERE state = 'paid';
CREATE INDEX payment_held ON payment (number) WHERE held;

-- What was tried at the provider. The key is the provider's idempotency key, so a try is repeated, never made twice.
CREATE TABLE payment_attempt (
    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    payment text NOT NULL REFERENCES payment (id),
    kind text NOT NULL CHECK (kind IN ('open', 'capture', 'refund')),
    key text NOT NULL,
    amount bigint NOT NULL,
    state text NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'done', 'failed', 'unknown')),
    tries integer NOT NULL DEFAULT 1,
    error text NOT NULL DEFAULT '',
    at timestamptz NOT NULL DEFAULT clock_timestamp(),  -- of the first try
    ended_at timestamptz,                       -- of the newest answer, or of giving up to wait for one
    UNIQUE (payment, kind, key)
);
CREATE INDEX payment_attempt_open ON payment_attempt (at) WHERE state IN ('pending', 'unknown');

-- What the provider said, and what that did.
CREATE TABLE payment_event (
    account integer NOT NULL REFERENCES channel (id),
    event text NOT NULL,                        -- its own id of the event
    payment text REFERENCES payment (id),       -- null: about no order of ours
    said text NOT NULL,                         -- core.tills.Standing as JSON
    effect text NOT NULL DEFAULT '',
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (account, event)
);
CREATE INDEX payment_event_payment ON payment_event (payment, at);

-- The books of the shipped double: what people clicked on its page. No money moves.
CREATE TABLE test_payment (
    payment text PRIMARY KEY REFERENCES payment (id),
    paid boolean NOT NULL,
    refunds jsonb NOT NULL DEFAULT '{}',        -- key of a refund to its amount
    at timestamptz NOT NULL DEFAULT clock_timestamp()
);
