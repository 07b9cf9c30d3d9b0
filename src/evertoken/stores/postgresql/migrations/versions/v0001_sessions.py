"""Users, sessions, revocations, the audit trail, keys, clients, throttling, adoptions."""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_USERS = """
-- Instants are milliseconds since the epoch. One row per session, for life; no token is stored. Texts compare byte by
-- byte. Columns stand from the widest to the narrowest, so that none is padded.
CREATE TABLE users (
  created_at_ms          bigint NOT NULL,
  epoch                  bigint NOT NULL DEFAULT 0,
  disabled               boolean NOT NULL DEFAULT false,
  id                     text COLLATE "C" PRIMARY KEY,
  username               text NOT NULL,
  username_key           text COLLATE "C" NOT NULL UNIQUE,
  password_hash          text,
  roles                  text NOT NULL DEFAULT '[]'
);
CREATE INDEX users_disabled ON users (id) WHERE disabled;
"""

_SESSIONS = """
-- No index has a column that a refresh writes: each new version of a row then stays on its page, where the fillfactor
-- leaves room for it, and no index is touched (a heap-only tuple).
CREATE TABLE sessions (
  created_at_ms          bigint NOT NULL,
  refreshed_at_ms        bigint NOT NULL,
  advanced_at_ms         bigint NOT NULL,
  idle_expires_at_ms     bigint NOT NULL,
  max_expires_at_ms      bigint,
  revoked_at_ms          bigint,
  generation             bigint NOT NULL DEFAULT 0,
  user_epoch             bigint NOT NULL,
  rotations              integer NOT NULL DEFAULT 0,
  unusual                integer NOT NULL DEFAULT 0,  -- early, stale and heal outcomes, counted
  delivery               smallint NOT NULL,
  outcome                smallint NOT NULL DEFAULT 0, -- of the last accepted refresh; see rotation.py
  id                     bytea PRIMARY KEY,
  tag                    bytea NOT NULL,              -- the newest that counts
  previous               bytea,                       -- empty at sign-in, NULL is ANY (after a heal)
  secret_id              bytea NOT NULL,              -- the secret that made the last presented token
  user_id                text COLLATE "C" NOT NULL,
  username               text COLLATE "C" NOT NULL,
  client_id              text COLLATE "C" NOT NULL,
  revoked_reason         text COLLATE "C",
  created_address        text COLLATE "C" NOT NULL,
  created_device         text COLLATE "C" NOT NULL,
  refreshed_address      text COLLATE "C",            -- NULL where it is as at the sign-in
  refreshed_device       text COLLATE "C",            -- likewise
  recent_rotations       bytea NOT NULL DEFAULT ''    -- the last 20 times, newest first, 6 bytes each
) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.05);
CREATE INDEX sessions_of_user ON sessions (user_id, created_at_ms, id);
CREATE INDEX sessions_by_beginning ON sessions (created_at_ms, id);
CREATE INDEX sessions_ended ON sessions (revoked_at_ms, revoked_reason) WHERE revoked_at_ms IS NOT NULL;
"""

_REVOCATIONS = """
-- What guards follow: sessions revoked lately, in commit order; see revoking.py.
CREATE TABLE revocations (
  seq                    bigint PRIMARY KEY,
  at_ms                  bigint NOT NULL,
  session_id             bytea NOT NULL
);
CREATE INDEX revocations_by_age ON revocations (at_ms);
CREATE TABLE revocation_counter (
  one                    boolean PRIMARY KEY DEFAULT true CHECK (one),
  last                   bigint NOT NULL
) WITH (fillfactor = 10);
INSERT INTO revocation_counter (last) VALUES (0);
"""

_EVENTS = """
CREATE TABLE events (
  id                     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  at_ms                  bigint NOT NULL,
  last_at_ms             bigint NOT NULL,
  count                  integer NOT NULL DEFAULT 1,
  session_id             bytea,
  kind                   text COLLATE "C" NOT NULL,
  user_id                text COLLATE "C",
  username               text COLLATE "C",
  address                text COLLATE "C" NOT NULL,
  device                 text COLLATE "C" NOT NULL,
  reason                 text COLLATE "C",
  detail                 text NOT NULL
);
CREATE INDEX events_of_session ON events (session_id, id) WHERE session_id IS NOT NULL;
CREATE INDEX events_by_age ON events (last_at_ms) WHERE session_id IS NULL;
CREATE INDEX events_by_time ON events (last_at_ms, kind, count);
"""

_THE_REST = """
CREATE TABLE signing_keys (
  signs_from_ms          bigint NOT NULL,
  verifies_until_ms      bigint,
  kid                    text COLLATE "C" PRIMARY KEY,
  algorithm              text COLLATE "C" NOT NULL,
  private_wrapped        bytea NOT NULL               -- encrypted under EVERTOKEN_SECRET
);
CREATE TABLE clients (
  created_at_ms          bigint NOT NULL,
  id                     text COLLATE "C" PRIMARY KEY,
  secret_digest          bytea NOT NULL               -- SHA-256 of 32 random bytes: nothing to guess, so no slow hash
);
-- Sign-in throttling; keys are HMACs, so that a dump names nobody.
CREATE TABLE throttle (
  last_failure_at_ms     bigint NOT NULL,
  last_success_at_ms     bigint,
  failures               integer NOT NULL,
  key                    bytea PRIMARY KEY
);
CREATE INDEX throttle_by_age ON throttle (greatest(last_failure_at_ms, coalesce(last_success_at_ms, 0)));
-- Refresh tokens of other libraries that were swapped for a session: once, for as long as they might be shown again.
CREATE TABLE adoptions (
  issued_at_ms           bigint NOT NULL,
  forget_at_ms           bigint NOT NULL,             -- when the token expires
  fingerprint            bytea PRIMARY KEY,           -- SHA-256 of library and jti
  session_id             bytea NOT NULL,
  tag                    bytea NOT NULL
);
CREATE INDEX adoptions_by_age ON adoptions (forget_at_ms);
-- Written by whoever asks whether a sign-in could be stored now; several rows, so that few wait for each other.
CREATE TABLE pulse (
  at_ms                  bigint NOT NULL,
  slot                   smallint PRIMARY KEY
) WITH (fillfactor = 10);
INSERT INTO pulse (slot, at_ms) SELECT slot, 0 FROM generate_series(0, 15) AS slot;
"""


def upgrade() -> None:
    """The first tables."""
    for script in (_USERS, _SESSIONS, _REVOCATIONS, _EVENTS, _THE_REST):
        op.execute(script)
