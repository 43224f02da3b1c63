-- What bots took of language models, a row a bot and day (UTC). See store/llm_usage.py.

CREATE TABLE llm_usage (
    bot integer NOT NULL REFERENCES bot (id) ON DELETE CASCADE,
    day date NOT NULL,
    asked bigint NOT NULL DEFAULT 0,
    answered bigint NOT NULL DEFAULT 0,
    cost bigint NOT NULL DEFAULT 0,
    requests bigint NOT NULL DEFAULT 0,
    estimated bigint NOT NULL DEFAULT 0,
    refused bigint NOT NULL DEFAULT 0,
    budget bigint NOT NULL,
    in_money boolean NOT NULL,
    currency text NOT NULL,
    PRIMARY KEY (bot, day)
);
COMMENT ON COLUMN llm_usage.cost IS 'billionths of the currency';
COMMENT ON COLUMN llm_usage.budget IS 'of the day: billionths of the currency where in_money, else tokens';

CREATE TABLE llm_reserved (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    bot integer NOT NULL,
    day date NOT NULL,
    amount bigint NOT NULL,
    FOREIGN KEY (bot, day) REFERENCES llm_usage (bot, day) ON DELETE CASCADE
);
CREATE INDEX llm_reserved_day ON llm_reserved (bot, day);
