"""Sign-in attempts in MariaDB or MySQL: deciding and counting are one step, whichever machine an attempt comes to."""

from evertoken.accounts.sign_in import AttemptKeys
from evertoken.accounts.throttle import Bucket, Kind, Limit, Limits, Verdict, after_attempt
from evertoken.stores.attempts import Found, forgiven, verdict_on
from evertoken.stores.mysql.locks import Lock, take
from evertoken.stores.mysql.transaction import Transaction

_SAVE = (
    "INSERT INTO [throttle] (`key`, failures, last_failure_at_ms, last_success_at_ms) VALUES ($1, $2, $3, $4)"
    " ON DUPLICATE KEY UPDATE failures = $2, last_failure_at_ms = $3, last_success_at_ms = $4"
)


async def reserve_attempt(transaction: Transaction, keys: AttemptKeys, limits: Limits) -> Verdict:
    """Decide on an attempt and count it as a failure."""
    found = await _locked(transaction, keys)
    now_ms = transaction.now_ms
    verdict = verdict_on(found, now_ms=now_ms, limits=limits)
    if verdict.allowed:
        for kind, key in keys.items():
            counted = after_attempt(found[kind][0], now_ms=now_ms, limit=limits.of(kind))
            await _save(transaction, key, counted, found[kind][1])
    return verdict


async def attempt_succeeded(transaction: Transaction, keys: AttemptKeys, limits: Limits) -> None:
    """Take the counted failure back, clear the account, remember the pair."""
    found = await _locked(transaction, keys)
    await _save(transaction, keys[Kind.PAIR], None, transaction.now_ms)
    await _remove(transaction, keys[Kind.ACCOUNT])
    await _forgive(transaction, keys[Kind.ADDRESS], found[Kind.ADDRESS], limits.address)


async def attempt_withdrawn(transaction: Transaction, keys: AttemptKeys, limits: Limits) -> None:
    """Take the counted failure back from every bucket."""
    for kind, found in (await _locked(transaction, keys)).items():
        await _forgive(transaction, keys[kind], found, limits.of(kind))


async def _locked(transaction: Transaction, keys: AttemptKeys) -> dict[Kind, Found]:
    """What is counted; nobody else counts under these keys until the transaction ends."""
    await take(transaction.connection, Lock.ATTEMPT, *keys.values())
    rows = await transaction.connection.fetch(
        "SELECT `key`, failures, last_failure_at_ms, last_success_at_ms FROM [throttle] WHERE `key` IN $1",
        list(keys.values()),
    )
    found: dict[bytes, Found] = {row[0]: (Bucket(row[1], row[2]) if row[1] else None, row[3]) for row in rows}
    return {kind: found.get(key, (None, None)) for kind, key in keys.items()}


async def _forgive(transaction: Transaction, key: bytes, found: Found, limit: Limit) -> None:
    left, last_success_at_ms = forgiven(found, limit)
    if left is None and last_success_at_ms is None:
        await _remove(transaction, key)
    else:
        await _save(transaction, key, left, last_success_at_ms)


async def _save(transaction: Transaction, key: bytes, bucket: Bucket | None, last_success_at_ms: int | None) -> None:
    kept = bucket or Bucket(0, 0)
    await transaction.connection.execute(_SAVE, key, kept.failures, kept.last_failure_at_ms, last_success_at_ms)


async def _remove(transaction: Transaction, key: bytes) -> None:
    await transaction.connection.execute("DELETE FROM [throttle] WHERE `key` = $1", key)
