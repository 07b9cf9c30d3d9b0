"""What somebody sees who gets hold of the database file."""

import base64
import os
import secrets
import stat
from pathlib import Path

from evertoken.accounts.passwords import PasswordHashing
from evertoken.secret import Secret
from evertoken.tokens import refresh_token
from evertoken.tokens.refresh_token import RefreshToken
from evertoken.tokens.server_secrets import SecretRing
from tests.stores.compliance.bench import (
    RIPE,
    add_user,
    child,
    new_session,
    refresh,
    signed_in,
)
from tests.stores.sqlite_bench import SqliteBench
from tests.support.server import WEAK


async def test_a_dump_of_the_database_holds_no_token_and_no_password(bench: SqliteBench) -> None:
    """Whoever reads the database and its log finds nothing to sign in or to refresh with."""
    store, clock = bench.open(), bench.clock
    secrets_ring = SecretRing([Secret(secrets.token_urlsafe(32))])
    hashing = PasswordHashing(WEAK)
    password = "correct-horse-battery-" + secrets.token_hex(4)
    user = await add_user(store, password_hash=hashing.hash_now(Secret(password)))
    texts: list[str] = []

    def minted(token: RefreshToken) -> RefreshToken:
        texts.append(refresh_token.mint(token, secrets_ring))
        return refresh_token.parse(texts[-1], secrets_ring)

    for _ in range(5):
        new = new_session(clock, user)
        token = minted(new.token)
        await store.create(new_session(clock, user, token=token))
        for _ in range(3):
            token = minted(child(token, await refresh(store, token)))
            clock.advance(RIPE)
        await refresh(store, minted(new.token))
    names = [bench.path, *(Path(f"{bench.path}{suffix}") for suffix in ("-wal", "-shm"))]
    dump = b"".join(path.read_bytes() for path in names)
    assert user.id.encode() in dump
    for text in texts:
        body = text.removeprefix(refresh_token.PREFIX)
        raw = base64.urlsafe_b64decode(body)
        mac = raw[-32:]
        for secret in (text.encode(), body.encode(), raw, mac, mac.hex().encode(), base64.urlsafe_b64encode(mac)[:42]):
            assert secret not in dump
    for form in (password, password[:12], base64.b64encode(password.encode()).decode().rstrip("=")):
        assert form.encode() not in dump


async def test_the_files_are_readable_by_their_owner_only(bench: SqliteBench) -> None:
    """The database and its log are made with mode 0600, whatever the umask."""
    before = os.umask(0)
    try:
        await signed_in(bench.open(), bench.clock)
    finally:
        os.umask(before)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in bench.path.parent.iterdir()}
    assert modes == dict.fromkeys(("evertoken.db", "evertoken.db-wal", "evertoken.db-shm"), 0o600)
