"""Users, sessions, revocations, the audit trail, keys, clients, throttling, adoptions."""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_LIKE_ALL = "ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 COLLATE=COLLATION"

_USERS = f"""
-- Instants are milliseconds since the epoch. One row per session, for life; no token is stored. Texts compare byte by
-- byte, and spaces at their end count.
CREATE TABLE IF NOT EXISTS [users] (
  id                     varchar(512) NOT NULL PRIMARY KEY,
  username               varchar(768) NOT NULL,
  username_key           varchar(768) NOT NULL,
  password_hash          text,
  epoch                  bigint NOT NULL DEFAULT 0,
  disabled               tinyint NOT NULL DEFAULT 0,
  roles                  text NOT NULL,
  created_at_ms          bigint NOT NULL,
  UNIQUE KEY username_key (username_key),
  KEY disabled (disabled)
) {_LIKE_ALL};
"""

_SESSIONS = f"""
-- No index has a column that a refresh writes.
CREATE TABLE IF NOT EXISTS [sessions] (
  id                     varbinary(32) NOT NULL PRIMARY KEY,
  tag                    varbinary(64) NOT NULL,              -- the newest that counts
  previous               varbinary(64),                       -- empty at sign-in, NULL is ANY (after a heal)
  generation             bigint NOT NULL DEFAULT 0,
  advanced_at_ms         bigint NOT NULL,
  idle_expires_at_ms     bigint NOT NULL,
  max_expires_at_ms      bigint,
  outcome                bigint NOT NULL DEFAULT 0,           -- of the last accepted refresh, and its batch
  refreshed_at_ms        bigint NOT NULL,
  rotations              int NOT NULL DEFAULT 0,
  unusual                int NOT NULL DEFAULT 0,              -- early, stale and heal outcomes, counted
  revoked_at_ms          bigint,
  revoked_reason         varchar(64),
  user_epoch             bigint NOT NULL,
  delivery               tinyint NOT NULL,
  created_at_ms          bigint NOT NULL,
  secret_id              varbinary(64) NOT NULL,              -- the secret that made the last presented token
  user_id                varchar(512) NOT NULL,
  username               varchar(768) NOT NULL,
  client_id              varchar(256) NOT NULL,
  created_address        varchar(256) NOT NULL,
  created_device         varchar(512) NOT NULL,
  refreshed_address      varchar(256),                        -- NULL where it is as at the sign-in
  refreshed_device       varchar(512),                        -- likewise
  recent_rotations       varbinary(120) NOT NULL DEFAULT '',  -- the last 20 times, newest first, 6 bytes each
  KEY of_user (user_id, created_at_ms, id),
  KEY by_beginning (created_at_ms, id),
  KEY ended (revoked_at_ms, revoked_reason)
) {_LIKE_ALL};
"""

_REVOCATIONS = f"""
-- What guards follow: sessions revoked lately, in commit order; see transaction.py.
CREATE TABLE IF NOT EXISTS [revocations] (
  seq                    bigint NOT NULL PRIMARY KEY,
  at_ms                  bigint NOT NULL,
  session_id             varbinary(32) NOT NULL,
  KEY by_age (at_ms)
) {_LIKE_ALL};
CREATE TABLE IF NOT EXISTS [revocation_counter] (
  one                    tinyint NOT NULL PRIMARY KEY,
  last                   bigint NOT NULL
) {_LIKE_ALL};
INSERT IGNORE INTO [revocation_counter] (one, last) VALUES (1, 0);
"""

_EVENTS = f"""
CREATE TABLE IF NOT EXISTS [events] (
  id                     bigint NOT NULL AUTO_INCREMENT PRIMARY KEY,
  at_ms                  bigint NOT NULL,
  last_at_ms             bigint NOT NULL,
  count                  int NOT NULL DEFAULT 1,
  session_id             varbinary(32),
  kind                   varchar(64) NOT NULL,
  user_id                varchar(512),
  username               varchar(768),
  address                varchar(256) NOT NULL,
  device                 varchar(512) NOT NULL,
  reason                 varchar(64),
  detail                 mediumtext NOT NULL,
  KEY of_session (session_id, last_at_ms),                    -- and, where there is none, by age
  KEY by_time (last_at_ms, kind, count)
) {_LIKE_ALL};
"""

_THE_REST = f"""
CREATE TABLE IF NOT EXISTS [signing_keys] (
  kid                    varchar(256) NOT NULL PRIMARY KEY,
  algorithm              varchar(64) NOT NULL,
  private_wrapped        blob NOT NULL,                       -- encrypted under EVERTOKEN_SECRET
  signs_from_ms          bigint NOT NULL,
  verifies_until_ms      bigint
) {_LIKE_ALL};
CREATE TABLE IF NOT EXISTS [clients] (
  id                     varchar(256) NOT NULL PRIMARY KEY,
  secret_digest          varbinary(64) NOT NULL,              -- SHA-256 of 32 random bytes; nothing to guess
  created_at_ms          bigint NOT NULL
) {_LIKE_ALL};
-- Sign-in throttling; keys are HMACs, so that a dump names nobody.
CREATE TABLE IF NOT EXISTS [throttle] (
  `key`                  varbinary(128) NOT NULL PRIMARY KEY,
  failures               int NOT NULL,
  last_failure_at_ms     bigint NOT NULL,
  last_success_at_ms     bigint,
  last_at_ms             bigint AS (GREATEST(last_failure_at_ms, COALESCE(last_success_at_ms, 0))) STORED,
  KEY by_age (last_at_ms)
) {_LIKE_ALL};
-- Refresh tokens of other libraries that were swapped for a session, once, for as long as they might be shown again.
CREATE TABLE IF NOT EXISTS [adoptions] (
  fingerprint            varbinary(64) NOT NULL PRIMARY KEY,  -- SHA-256 of library and jti
  session_id             varbinary(32) NOT NULL,
  tag                    varbinary(64) NOT NULL,
  issued_at_ms           bigint NOT NULL,
  forget_at_ms           bigint NOT NULL,                     -- when the token expires
  KEY by_age (forget_at_ms)
) {_LIKE_ALL};
-- Written by whoever asks whether a sign-in could be stored now; several rows, so that few wait for each other.
CREATE TABLE IF NOT EXISTS [pulse] (
  slot                   smallint NOT NULL PRIMARY KEY,
  at_ms                  bigint NOT NULL
) {_LIKE_ALL};
CREATE TABLE IF NOT EXISTS [locks] (
  slot                   smallint NOT NULL PRIMARY KEY
) {_LIKE_ALL};
"""


def _numbered(table: str, columns: str, rows: list[str]) -> str:
    return f"INSERT IGNORE INTO [{table}] ({columns}) VALUES {', '.join(rows)};"


def upgrade() -> None:
    """The first tables."""
    for script in (_USERS, _SESSIONS, _REVOCATIONS, _EVENTS, _THE_REST):
        op.execute(script)
    op.execute(_numbered("pulse", "slot, at_ms", [f"({slot}, 0)" for slot in range(16)]))
    op.execute(_numbered("locks", "slot", [f"({slot})" for slot in range(5 * 256)]))
