-- What an operator looks at. No column here is written by a refresh, so no refresh pays for these indexes.
CREATE INDEX sessions_by_beginning ON sessions (created_at_ms, id);
CREATE INDEX sessions_not_ended ON sessions (user_id) WHERE revoked_at_ms IS NULL;
CREATE INDEX sessions_ended ON sessions (revoked_at_ms, revoked_reason) WHERE revoked_at_ms IS NOT NULL;
CREATE INDEX events_by_time ON events (last_at_ms, kind, count);
CREATE INDEX users_disabled ON users (disabled) WHERE disabled = 1;
