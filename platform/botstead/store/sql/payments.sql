-- Payments, what was tried for them, and what the provider said. See store/payments.py.

-- name: asked
-- The message that asks for money, where the buyer is found.
SELECT bot, channel, conversation, trace FROM message WHERE id = $1;

-- name: order
-- A payment for a message, unless it has one.
INSERT INTO payment (id, message, bot, account, channel, conversation, partition, provider, reference, title, amount, currency, trace, ask_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, clock_timestamp() + make_interval(secs => $14))
ON CONFLICT (message) DO NOTHING;

-- name: of_message
-- The payment that a message asks for.
SELECT * FROM payment WHERE message = $1;

-- name: one
-- A payment by its id.
SELECT * FROM payment WHERE id = $1;

-- name: lock
-- The same, held until the transaction ends.
SELECT * FROM payment WHERE id = $1 FOR UPDATE;

-- name: find
-- The payment of an account that something is said of: by our id, else by the provider's ids of its page or of the money.
-- $1 account, $2 our id, $3 session, $4 payment
SELECT id FROM payment WHERE account = $1 AND id = $2
UNION ALL (SELECT id FROM payment WHERE account = $1 AND session = $3 AND session <> '' ORDER BY number DESC LIMIT 1)
UNION ALL (SELECT id FROM payment WHERE account = $1 AND payment = $4 AND payment <> '' ORDER BY number DESC LIMIT 1)
LIMIT 1;

-- name: write
-- How a payment stands now. Times of states are those of the first time.
UPDATE payment SET state = $2, refunded = $3, held = $4, detail = $5,
    session = coalesce(nullif($6, ''), session), payment = coalesce(nullif($7, ''), payment), url = coalesce(nullif($8, ''), url),
    news = coalesce($9, news),
    asks = CASE WHEN state = $2 THEN asks ELSE 0 END,
    ask_at = CASE WHEN state = $2 THEN ask_at ELSE clock_timestamp() + make_interval(secs => $10) END,
    pending_at = CASE WHEN $2 = 'pending' THEN coalesce(pending_at, clock_timestamp()) ELSE pending_at END,
    approved_at = CASE WHEN $2 = 'approved' THEN coalesce(approved_at, clock_timestamp()) ELSE approved_at END,
    paid_at = CASE WHEN $2 = 'paid' THEN coalesce(paid_at, clock_timestamp()) ELSE paid_at END,
    failed_at = CASE WHEN $2 = 'failed' THEN coalesce(failed_at, clock_timestamp()) ELSE failed_at END,
    expired_at = CASE WHEN $2 = 'expired' THEN coalesce(expired_at, clock_timestamp()) ELSE expired_at END,
    refunded_at = CASE WHEN $2 = 'refunded' THEN coalesce(refunded_at, clock_timestamp()) ELSE refunded_at END
WHERE id = $1;

-- name: heard
-- Keep what was said, once.
INSERT INTO payment_event (account, event, payment, said) VALUES ($1, $2, $3, $4)
ON CONFLICT (account, event) DO NOTHING RETURNING 1 AS new;

-- name: effect
-- What that did.
UPDATE payment_event SET effect = $3 WHERE account = $1 AND event = $2;

-- name: tell
-- Give the bot news in the buyer's conversation, in the transaction that made them.
-- $1 bot, $2 channel, $3 conversation, $4 partition, $5 payload, $6 trace
WITH said AS (
    INSERT INTO message (id, direction, bot, channel, conversation, payload, trace)
    VALUES (nextval('message_id'), 2, $1, $2, $3, $5, $6) RETURNING id
)
INSERT INTO inbox (partition, bot, id, conversation) SELECT $4, $1, id, $3 FROM said RETURNING id;

-- name: reword
-- What asked for money becomes what the person reads: history, search and the chat page show that.
UPDATE message SET body = $2, payload = $3 WHERE id = $1;

-- name: begin
-- A try, or one more of it under the same key. One that has ended well stays so.
INSERT INTO payment_attempt (payment, kind, key, amount) VALUES ($1, $2, $3, $4)
ON CONFLICT (payment, kind, key) DO UPDATE SET tries = payment_attempt.tries + 1
RETURNING *;

-- name: end
-- How a try ended. Nothing unsays that it was done.
UPDATE payment_attempt SET state = $2, error = $3, ended_at = clock_timestamp() WHERE id = $1 AND state <> 'done';

-- name: resolve
-- What became known of tries by what the provider said of the payment. $1 payment, $2 kinds, $3 done or failed
UPDATE payment_attempt SET state = $3, ended_at = clock_timestamp() WHERE payment = $1 AND kind = ANY ($2::text[]) AND state IN ('pending', 'unknown');

-- name: attempts
-- What was tried for a payment, oldest first.
SELECT * FROM payment_attempt WHERE payment = $1 ORDER BY id;

-- name: events
-- What was said of a payment, oldest first, of the newest so many.
SELECT * FROM (SELECT * FROM payment_event WHERE payment = $1 ORDER BY at DESC, event LIMIT $2) e ORDER BY at, event;

-- name: list
-- Newest first. $1 below number, $2 bot, $3 state, $4 conversation, $5 at most
SELECT p.*, b.name AS bot_name FROM payment p JOIN bot b ON b.id = p.bot
WHERE p.number < $1 AND ($2::integer IS NULL OR p.bot = $2) AND ($3::text IS NULL OR p.state = $3) AND ($4::text IS NULL OR p.conversation = $4)
ORDER BY p.number DESC LIMIT $5;

-- name: bot_name
-- Of a payment's bot.
SELECT name FROM bot WHERE id = $1;

-- name: due
-- Payments whose provider should be asked; each is put off at once, twice as long each time, so that none is asked without end.
-- $1 at most, $2 seconds, $3 seconds where the person may take their time, $4 seconds at most
UPDATE payment p SET asks = least(p.asks + 1, 30), ask_at = clock_timestamp()
    + make_interval(secs => least($4::float8, CASE WHEN p.state = 'pending' THEN $3::float8 ELSE $2::float8 END * 2.0 ^ least(p.asks, 20)))
FROM (
    SELECT number FROM payment WHERE ask_at <= clock_timestamp() AND state IN ('opened', 'pending', 'approved')
    ORDER BY ask_at LIMIT $1 FOR UPDATE SKIP LOCKED
) mine WHERE p.number = mine.number RETURNING p.*;

-- name: unknown
-- Refunds of which nobody knows how they ended. Each is put off at once, the longer the longer it has lasted, so that none is asked
-- after without end and none keeps others from their turn. $1 seconds since the last try or look, $2 at most
UPDATE payment_attempt a SET ended_at = clock_timestamp()
FROM (
    SELECT id FROM payment_attempt WHERE state IN ('pending', 'unknown') AND kind = 'refund'
        AND coalesce(ended_at, at) <= clock_timestamp() - greatest(make_interval(secs => $1), (clock_timestamp() - at) / 8)
    ORDER BY coalesce(ended_at, at) LIMIT $2 FOR UPDATE SKIP LOCKED
) mine WHERE a.id = mine.id RETURNING a.*;

-- name: had_account
-- Whether a bot has, or ever had, a payment account of one of these kinds. $1 bot, $2 kinds
SELECT EXISTS (SELECT FROM channel WHERE bot = $1 AND kind = ANY ($2::text[])) AS had;

-- name: fulfil
-- The bot has done its part where the news has left the inbox and is no dead letter.
UPDATE payment SET state = 'fulfilled', fulfilled_at = clock_timestamp()
WHERE number IN (
    SELECT p.number FROM payment p WHERE p.state = 'paid' AND p.news IS NOT NULL
        AND NOT EXISTS (SELECT FROM inbox i WHERE i.partition = p.partition AND i.bot = p.bot AND i.id = p.news)
        AND NOT EXISTS (SELECT FROM dead_letter l WHERE l.id = p.news AND l.replayed_at IS NULL)
    ORDER BY p.number LIMIT $1 FOR UPDATE OF p SKIP LOCKED
) AND state = 'paid' RETURNING provider;

-- name: standing
-- What a person has to know of: money that was paid and not answered for, and tries whose end nobody knows.
SELECT (SELECT count(*) FROM payment WHERE state = 'paid') + (SELECT count(*) FROM payment WHERE held AND state NOT IN ('paid', 'refunded')) AS unfulfilled,
    extract(epoch FROM least(
        (SELECT min(paid_at) FROM payment WHERE state = 'paid'),
        (SELECT min(created_at) FROM payment WHERE held AND state NOT IN ('paid', 'refunded'))
    ))::float8 AS unfulfilled_since,
    count(*) AS unknown, extract(epoch FROM min(at))::float8 AS unknown_since
FROM payment_attempt WHERE state IN ('pending', 'unknown');

-- name: click
-- What a person chose on the page of the double; the first choice counts.
INSERT INTO test_payment (payment, paid) VALUES ($1, $2) ON CONFLICT (payment) DO NOTHING;

-- name: clicked
-- What they chose, and what went back since.
SELECT paid, coalesce((SELECT sum(value::bigint) FROM jsonb_each_text(refunds)), 0)::bigint AS refunded FROM test_payment WHERE payment = $1;

-- name: give_back
-- Refund at the double, once a key.
UPDATE test_payment SET refunds = jsonb_build_object($2::text, $3::bigint) || refunds WHERE payment = $1 AND paid;
