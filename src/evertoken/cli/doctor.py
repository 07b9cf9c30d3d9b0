"""evertoken doctor: looks at an installation and says what to mend."""

import asyncio
import os
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from evertoken.accounts.hashes.family import HashRefused
from evertoken.accounts.hashes.known import read_hash
from evertoken.accounts.passwords import HashingParameters
from evertoken.accounts.users import UserStore
from evertoken.assembly import open_keys, open_secrets, open_store, secret_file
from evertoken.cli.options import every_setting, settings_of
from evertoken.clock import system_clock
from evertoken.edge.settings import Settings
from evertoken.edge.settings.sources import SettingsRefused, unknown_variables
from evertoken.edge.store_clock import TOLERATED_MS, Difference, measured
from evertoken.errors import EvertokenError
from evertoken.store_address import is_server, shown
from evertoken.stores.opening import may_be_there
from evertoken.tokens.server_secrets import SecretRing
from evertoken.wire.origins import is_trustworthy

_MOST_USERS = 100_000  # whose password hashes are looked at: a second or two
_EARLIEST_PLAUSIBLE_MS = 1_760_000_000_000  # October 2025, when this was written first


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report. `mend` is empty where all is well."""

    part: str
    text: str
    mend: str = ""
    is_fault: bool = False


@click.command()
@every_setting
def doctor(**given: Any) -> None:
    """Check settings, store, users, keys, secrets, clock, cookies and CORS, and say what to mend."""
    try:
        settings = settings_of(given)
    except SettingsRefused as refused:
        findings = [
            Finding("settings", str(problem), "see docs/settings.md", is_fault=True) for problem in refused.problems
        ]
    else:
        findings = [*_settings(), *_store_and_keys(settings), *_clock(settings), *_browser(settings)]
    for finding in findings:
        mark = "FAULT" if finding.is_fault else ("mend " if finding.mend else "ok   ")
        click.echo(f"{mark}  {finding.part}: {finding.text}" + (f"; {finding.mend}" if finding.mend else ""))
    raise SystemExit(1 if any(finding.is_fault for finding in findings) else 0)


def _settings() -> Iterator[Finding]:
    yield Finding("settings", "all are valid")
    for name in unknown_variables(os.environ):
        yield Finding("settings", f"{name} is no setting of ours", "correct the name or remove it")


def _store_and_keys(settings: Settings) -> Iterator[Finding]:
    if not may_be_there(settings.store):
        yield Finding("store", f"{settings.store} is not there yet", "`evertoken serve` makes it; else correct --store")
        return
    if not is_server(settings.store) and Path(settings.store).stat().st_mode & 0o077:
        yield Finding("store", f"{settings.store} may be read by others", f"chmod 600 {settings.store}")
    try:
        yield from asyncio.run(_look(settings))
    except EvertokenError as error:
        yield Finding("store", str(error), "mend this first", is_fault=True)


async def _look(settings: Settings) -> list[Finding]:
    findings = []
    store = open_store(settings, may_create=False)
    try:
        await store.start()
        await store.ping()
        findings.append(Finding("store", f"{shown(settings.store)} can be read and written"))
        if is_server(settings.store):
            findings.append(_against_the_store(await measured(store, system_clock)))
        if not settings.user_directory:
            findings += await _users(settings, store)
        secrets = open_secrets(settings) if settings.secret or secret_file(settings).exists() else None
        if secrets is None:
            findings.append(Finding("secrets", "there is none yet", "set EVERTOKEN_SECRET, or start the server once"))
            return findings
        keeper = open_keys(settings, store, secrets)
        await keeper.reload()
        findings += _keys(keeper.jwks, len(await store.list_keys()))
        findings += _secrets(settings, secrets, await store.sessions_per_secret())
    except EvertokenError as error:
        findings.append(Finding("store", str(error), "mend this first", is_fault=True))
    finally:
        await store.stop()
    return findings


async def _users(settings: Settings, store: UserStore) -> list[Finding]:
    """Whose password could not be checked at a sign-in: bcrypt without its package, or a hash written by hand."""
    own = HashingParameters(settings.hash_time_cost, settings.hash_memory_kib, settings.hash_parallelism)
    refused: Counter[str] = Counter()
    seen, after = 0, None
    while page := await store.list_users(after, 1000):
        seen, after = seen + len(page), page[-1].username
        for user in page:
            try:
                if user.password_hash is not None:
                    read_hash(user.password_hash, own)
            except HashRefused as error:
                refused[str(error)] += 1
        if seen >= _MOST_USERS:
            break
    some = f"of the first {seen} users" if seen >= _MOST_USERS else "users"
    return [
        Finding("users", f"{count} {some} cannot sign in", f"their password_hash {why}", is_fault=True)
        for why, count in refused.most_common()
    ]


def _keys(jwks: Callable[..., dict[str, Any]], stored: int) -> Iterator[Finding]:
    if stored == 0:
        yield Finding("keys", "there is no signing key yet", "the server makes the first when it starts")
        return
    yield Finding(
        "keys", f"{stored} signing keys open with our secrets, {len(jwks(now_ms=system_clock())['keys'])} public"
    )


def _secrets(settings: Settings, secrets: SecretRing, sessions: dict[bytes, int]) -> Iterator[Finding]:
    if not settings.secret:
        yield Finding(
            "secrets", f"the development secret {secret_file(settings)} is used", "set EVERTOKEN_SECRET for production"
        )
    for number, secret in enumerate(secrets):
        count = sessions.get(secret.key_id, 0)
        role = "mints" if number == 0 else "verifies"
        can_go = "; unless it has just been added, it can be removed" if number and not count else ""
        yield Finding("secrets", f"number {number + 1} ({role}) holds {count} live sessions{can_go}")
    known = {secret.key_id for secret in secrets}
    lost = sum(count for key_id, count in sessions.items() if key_id not in known)
    if lost:
        yield Finding(
            "secrets",
            f"{lost} live sessions were made by a secret that is gone",
            "add it to EVERTOKEN_SECRET again, last, or they must sign in anew",
            is_fault=True,
        )


def _against_the_store(found: Difference) -> Finding:
    if not found.is_known:
        return Finding("clock", "the store answered too slowly to compare its clock with this machine's", "try again")
    if found.is_tolerated:
        return Finding("clock", f"agrees with the store's to within {TOLERATED_MS // 1000} s")
    return Finding(
        "clock",
        f"this machine's is {found.in_words()}, by which the server goes",
        "keep both by NTP: guards elsewhere go by their own",
    )


def _clock(settings: Settings) -> Iterator[Finding]:
    now_ms = system_clock()
    path = Path(settings.store)
    if now_ms < _EARLIEST_PLAUSIBLE_MS:
        yield Finding("clock", "this machine's clock is in the past", "set it, and keep it by NTP", is_fault=True)
    elif path.exists() and path.stat().st_mtime * 1000 > now_ms + 60_000:
        yield Finding("clock", "the database was written in the future", "set this machine's clock", is_fault=True)
    else:
        yield Finding("clock", "plausible; tokens and expiry depend on it, keep it by NTP")


def _browser(settings: Settings) -> Iterator[Finding]:
    if is_trustworthy(settings.issuer_url):
        yield Finding("cookies", f"__Host-Http- and Secure on {settings.issuer_url}")
    else:
        yield Finding(
            "cookies",
            f"{settings.issuer_url} is plain http: the refresh cookie is sent in clear and others can plant one",
            "serve it over https and set --issuer to that address",
        )
    if not settings.allowed_origins:
        yield Finding("CORS", "only pages of this origin may call; set allowed_origins for others")
    for origin in settings.allowed_origins:
        insecure = origin.startswith("http://") and not is_trustworthy(origin)
        yield Finding(
            "CORS", f"{origin} may call", "plain http: whoever is on the way may call too" if insecure else ""
        )
