-- What bots took of language models, see store/llm_usage.py.

-- name: lock_day
-- The row of a bot's day, made when it is the first; it stays locked until the transaction ends, so that one reserves after the
-- other. $1 bot's name, $2 budget, $3 in money, $4 currency
INSERT INTO llm_usage AS u (bot, day, budget, in_money, currency)
SELECT id, (now() AT TIME ZONE 'UTC')::date, $2, $3, $4 FROM bot WHERE name = $1 AND deleted_at IS NULL
ON CONFLICT (bot, day) DO UPDATE SET budget = excluded.budget, in_money = excluded.in_money, currency = excluded.currency
RETURNING u.bot, u.day, CASE WHEN u.in_money THEN u.cost ELSE u.asked + u.answered END AS taken, (u.xmax = 0) AS is_first;

-- name: reserved
-- What is set aside of a day and not settled. $1 bot, $2 day
SELECT coalesce(sum(amount), 0)::bigint FROM llm_reserved WHERE bot = $1 AND day = $2;

-- name: reserve
-- Set a part aside. $1 bot, $2 day, $3 amount
INSERT INTO llm_reserved (bot, day, amount) VALUES ($1, $2, $3) RETURNING id;

-- name: refuse
-- Count a question that was not asked. $1 bot, $2 day
UPDATE llm_usage SET refused = refused + 1 WHERE bot = $1 AND day = $2;

-- name: settle
-- Put what was taken in the place of what was set aside. A second time changes nothing.
-- $1 id, $2 asked, $3 answered, $4 cost, $5 requests, $6 estimated
WITH gone AS (DELETE FROM llm_reserved WHERE id = $1 RETURNING bot, day)
UPDATE llm_usage u SET asked = u.asked + $2, answered = u.answered + $3, cost = u.cost + $4,
    requests = u.requests + $5, estimated = u.estimated + $6
FROM gone WHERE u.bot = gone.bot AND u.day = gone.day;

-- name: today
-- What a bot took today. $1 bot's number
SELECT u.day, u.asked, u.answered, u.cost, u.requests, u.estimated, u.refused, u.budget, u.in_money, u.currency,
    (SELECT coalesce(sum(amount), 0)::bigint FROM llm_reserved r WHERE r.bot = u.bot AND r.day = u.day) AS reserved
FROM llm_usage u WHERE u.bot = $1 AND u.day = (now() AT TIME ZONE 'UTC')::date;

-- name: forget
-- Drop what was set aside on earlier days and never settled, and days older than 13 months.
WITH old AS (DELETE FROM llm_reserved WHERE day < (now() AT TIME ZONE 'UTC')::date - 1)
DELETE FROM llm_usage WHERE day < (now() AT TIME ZONE 'UTC')::date - 400;
