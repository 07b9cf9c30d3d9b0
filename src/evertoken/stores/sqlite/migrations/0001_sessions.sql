-- Instants are milliseconds since the epoch. One row per session, for life; no token is stored.
CREATE TABLE users (
  id                     TEXT PRIMARY KEY,
  username               TEXT NOT NULL,
  username_key           TEXT NOT NULL UNIQUE,
  password_hash          TEXT,
  epoch                  INTEGER NOT NULL DEFAULT 0,
  disabled               INTEGER NOT NULL DEFAULT 0,
  roles                  TEXT NOT NULL DEFAULT '[]',
  created_at_ms          INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE sessions (
  id                     BLOB PRIMARY KEY,
  user_id                TEXT NOT NULL,
  username               TEXT NOT NULL,
  user_epoch             INTEGER NOT NULL,
  client_id              TEXT NOT NULL,
  delivery               INTEGER NOT NULL,
  tag                    BLOB NOT NULL,               -- the newest that counts
  previous               BLOB,                        -- x'' at sign-in, NULL is ANY (after a heal)
  generation             INTEGER NOT NULL DEFAULT 0,
  advanced_at_ms         INTEGER NOT NULL,
  idle_expires_at_ms     INTEGER NOT NULL,
  max_expires_at_ms      INTEGER,
  outcome                INTEGER NOT NULL DEFAULT 0,  -- of the last accepted refresh; see rotation.py beside this folder
  secret_id              BLOB NOT NULL,               -- the secret that made the last presented token
  created_at_ms          INTEGER NOT NULL,
  created_address        TEXT NOT NULL,
  created_device         TEXT NOT NULL,
  refreshed_at_ms        INTEGER NOT NULL,
  refreshed_address      TEXT NOT NULL,
  refreshed_device       TEXT NOT NULL,
  rotations              INTEGER NOT NULL DEFAULT 0,
  recent_rotations       TEXT NOT NULL DEFAULT '',    -- the last 20 times, newest first
  unusual                INTEGER NOT NULL DEFAULT 0,  -- early, stale and heal outcomes, counted
  revoked_at_ms          INTEGER,
  revoked_reason         TEXT
) STRICT, WITHOUT ROWID;
CREATE INDEX sessions_of_user ON sessions (user_id);

-- What guards follow: sessions revoked lately, in commit order.
CREATE TABLE revocations (
  seq                    INTEGER PRIMARY KEY AUTOINCREMENT,
  session_id             BLOB NOT NULL,
  at_ms                  INTEGER NOT NULL
) STRICT;

CREATE TABLE events (
  id                     INTEGER PRIMARY KEY,
  kind                   TEXT NOT NULL,
  at_ms                  INTEGER NOT NULL,
  last_at_ms             INTEGER NOT NULL,
  count                  INTEGER NOT NULL DEFAULT 1,
  session_id             BLOB,
  user_id                TEXT,
  username               TEXT,
  address                TEXT NOT NULL,
  device                 TEXT NOT NULL,
  reason                 TEXT,
  detail                 TEXT NOT NULL
) STRICT;
CREATE INDEX events_of_session ON events (session_id) WHERE session_id IS NOT NULL;
CREATE INDEX events_by_age ON events (last_at_ms) WHERE session_id IS NULL;

CREATE TABLE signing_keys (
  kid                    TEXT PRIMARY KEY,
  algorithm              TEXT NOT NULL,
  private_wrapped        BLOB NOT NULL,               -- encrypted under EVERTOKEN_SECRET
  signs_from_ms          INTEGER NOT NULL,
  verifies_until_ms      INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE clients (
  id                     TEXT PRIMARY KEY,
  secret_digest          BLOB NOT NULL,               -- SHA-256 of 32 random bytes: nothing to guess, so no slow hash
  created_at_ms          INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Sign-in throttling; keys are HMACs, so that a dump names nobody.
CREATE TABLE throttle (
  key                    BLOB PRIMARY KEY,
  failures               INTEGER NOT NULL,
  last_failure_at_ms     INTEGER NOT NULL,
  last_success_at_ms     INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX throttle_by_age ON throttle (max(last_failure_at_ms, coalesce(last_success_at_ms, 0)));
