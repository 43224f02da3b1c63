-- What is noted of messages that were slow, failed, called other services, or were chosen for a trace. Dropped after a week.

CREATE TABLE hop (
    message bigint NOT NULL,                    -- message.id: what ran, or the answer that was sent
    send boolean NOT NULL,
    attempt smallint NOT NULL,
    began double precision NOT NULL,            -- Unix seconds, exactly as noted: ids of spans follow from them
    ended double precision NOT NULL,
    outcome text NOT NULL,
    reason text NOT NULL DEFAULT '',
    calls text                                  -- of a run: its calls to other services, JSON
);
CREATE INDEX hop_message ON hop (message);
CREATE INDEX hop_began ON hop USING brin (began);
