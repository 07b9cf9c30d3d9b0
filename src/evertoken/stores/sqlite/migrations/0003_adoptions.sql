-- Refresh tokens of other libraries that were swapped for a session: once, for as long as they might be shown again.
-- The session's first refresh token stands for each; it was never handed out, its children were.
CREATE TABLE adoptions (
  fingerprint            BLOB PRIMARY KEY,            -- SHA-256 of library and jti
  session_id             BLOB NOT NULL,
  tag                    BLOB NOT NULL,
  issued_at_ms           INTEGER NOT NULL,
  forget_at_ms           INTEGER NOT NULL             -- when the token expires
) STRICT, WITHOUT ROWID;
CREATE INDEX adoptions_by_age ON adoptions (forget_at_ms);
