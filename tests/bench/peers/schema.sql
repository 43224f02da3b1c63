-- What a peer keeps: one row an update, one row a reply, and a key that tells a delivery that came again.
CREATE TABLE message (
    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    direction smallint NOT NULL,
    chat bigint NOT NULL,
    update_id bigint,
    body text NOT NULL,
    payload jsonb,
    at timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX message_update ON message (update_id) WHERE direction = 0;
CREATE INDEX message_chat ON message (chat, id);
