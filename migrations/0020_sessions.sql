-- Operators' sessions that ended before their time, and who edited a note last.

-- +goose Up
CREATE TABLE ended_sessions (
    hash       bytea       PRIMARY KEY,
    expires_at timestamptz NOT NULL
);
CREATE INDEX ended_sessions_expire ON ended_sessions (expires_at);
COMMENT ON TABLE ended_sessions IS 'sessions of operators who signed out: a copy of the cookie opens nothing';
COMMENT ON COLUMN ended_sessions.hash IS 'SHA-256 of the cookie';
COMMENT ON COLUMN ended_sessions.expires_at IS 'when the cookie is worthless anyway, so that the row may go';

ALTER TABLE customer_notes
    ADD COLUMN editor text CHECK (editor = 'admin' OR editor LIKE 'user:_%' OR editor LIKE 'token:_%');
COMMENT ON COLUMN customer_notes.editor IS 'who edited it last, as author; NULL: nobody, or before this was recorded';

-- +goose Down
ALTER TABLE customer_notes DROP COLUMN editor;
DROP TABLE ended_sessions;
