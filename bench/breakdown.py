"""Where the time of a refresh goes: the real functions, each timed alone, beside what the server spent in all."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey

from bench import refreshing
from bench.effort import Effort, cores, pin
from bench.refreshing import CONNECTIONS, Measured
from bench.report import Section, at_most, median, micros, ratio
from bench.serve import Plan, begin_all, settings_of
from evertoken.assembly import build
from evertoken.sessions.issuer import Subject
from evertoken.sessions.model import Caller, RotationRequest
from evertoken.sessions.rotation import RotationPolicy
from evertoken.stores.sqlite import connection as sqlite_connection
from evertoken.stores.sqlite import rotation
from evertoken.tokens import access_token, refresh_token
from evertoken.tokens.refresh_token import RefreshToken
from evertoken.tokens.server_secrets import SecretRing
from evertoken.tokens.signing_keys import SigningKey

CALLS = 200


@dataclass(frozen=True, slots=True)
class Steps:
    """CPU seconds of each step of one refresh, and of making the same access token with joserfc."""

    refresh_tokens: float
    claims: float
    signature: float
    statement: float
    commit: float
    our_tokens: tuple[float, ...]
    joserfc_tokens: tuple[float, ...]

    def known(self) -> float:
        """What can be told apart of a refresh."""
        return self.refresh_tokens + self.claims + self.signature + self.statement + self.commit


async def run(folder: Path, effort: Effort) -> list[Section]:
    """Refreshes over HTTP first, and then what each consists of."""
    measured = await refreshing.measure(folder, effort)
    (folder / "steps").mkdir()
    steps = {algorithm: await measure(folder / "steps", effort, algorithm) for algorithm in measured}
    return [refreshing.report(measured), report(steps, measured)]


async def measure(folder: Path, effort: Effort, algorithm: str) -> Steps:
    """Time each step on the core that the server had."""
    pin(cores()[0])
    server = build(settings_of(Plan(str(folder), algorithm=algorithm), 8000))
    try:
        await server.start()
        services = server.services
        texts = [text for text, _ in await begin_all(server, CONNECTIONS)]
        first = [refresh_token.parse(text, services.secrets) for text in texts]
        key = services.keys.signing_key(now_ms=services.clock())
        rounds = effort.rounds * 3
        payload = _payload(server.services.settings.issuer_url)
        issuer = services.sessions._issuer
        subject = Subject("u_member0", "member0", ("member",), "s" * 22, "bench")
        ours, theirs = _side_by_side(
            lambda: access_token.sign(payload, key), _joserfc_encoder(payload, key), rounds=rounds
        )
        signature = _cpu(lambda: key.sign(b"x" * 400), rounds=rounds)
        statement, commit = _store(Path(server.services.settings.store), first, rounds=rounds)
        return Steps(
            refresh_tokens=_cpu(lambda: _handed_on(texts[0], services.secrets), rounds=rounds),
            claims=_cpu(lambda: issuer.issue(subject, now_ms=1), rounds=rounds) - signature,
            signature=signature,
            statement=statement,
            commit=commit,
            our_tokens=ours,
            joserfc_tokens=theirs,
        )
    finally:
        server.close()
        pin(cores()[1])


def _handed_on(text: str, secrets: SecretRing) -> str:
    """What becomes of a refresh token on its way through: read, checked, and its child made."""
    token = refresh_token.parse(text, secrets)
    return refresh_token.mint(refresh_token.child_of(token, now_ms=token.issued_at_ms), secrets)


def _payload(issuer: str) -> dict[str, Any]:
    return {
        "iss": issuer,
        "sub": "u_member0",
        "aud": issuer,
        "client_id": "bench",
        "exp": 1_900_001_800,
        "iat": 1_900_000_000,
        "jti": "j" * 16,
        "sid": "s" * 22,
        "roles": ("member",),
        "preferred_username": "member0",
    }


def _joserfc_encoder(payload: dict[str, Any], key: SigningKey) -> Callable[[], str]:
    private = key._private
    known = OctKey.import_key(private) if isinstance(private, bytes) else ECKey.import_key(_pem(private))
    header = {"alg": key.algorithm.value, "kid": key.kid, "typ": "at+jwt"}
    return lambda: jwt.encode(dict(header), payload, known, algorithms=[key.algorithm.value])


def _pem(private: Any) -> bytes:
    pem: bytes = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return pem


def _store(path: Path, tokens: list[RefreshToken], *, rounds: int) -> tuple[float, float]:
    """CPU of one rotation's statement, and its share of a commit of as many as there are connections."""
    policy = RotationPolicy(overlap_ms=0, idle_ms=7 * 24 * 3600 * 1000)
    statements, commits = [], []
    connection = sqlite_connection.open_for_writing(path)
    try:
        for _ in range(rounds):
            tokens = [refresh_token.child_of(token, now_ms=1_900_000_000_000) for token in tokens]
            requests = [RotationRequest(token, Caller("127.0.0.1", "evertoken-bench/1")) for token in tokens]
            connection.execute("BEGIN IMMEDIATE")
            began = time.thread_time()
            rotation.rotate(connection, 1_900_000_000_000, requests, policy)
            rotated = time.thread_time()
            connection.execute("COMMIT")
            commits.append((time.thread_time() - rotated) / len(requests))
            statements.append((rotated - began) / len(requests))
    finally:
        connection.close()
    return median(statements), median(commits)


def _cpu(call: Callable[[], Any], *, rounds: int) -> float:
    return median([_once(call) for _ in range(rounds)])


def _side_by_side(
    one: Callable[[], Any], other: Callable[[], Any], *, rounds: int
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    pairs = [(_once(one), _once(other)) for _ in range(rounds)]
    return tuple(first for first, _ in pairs), tuple(second for _, second in pairs)


def _once(call: Callable[[], Any]) -> float:
    """CPU seconds of one call, out of many in a row: warm, so a little less than in the server."""
    began = time.thread_time()
    for _ in range(CALLS):
        call()
    return (time.thread_time() - began) / CALLS


def report(steps: dict[str, Steps], measured: dict[str, Measured]) -> Section:
    """One row for each step, and what is left."""
    section = Section(
        "Where the time of a refresh goes",
        "CPU; each step timed alone and warm, the rest is the difference to what the server spent",
    )
    for algorithm, step in steps.items():
        whole = median([tally.cpu_each for tally in measured[algorithm].refreshes])
        wall = median([1 / tally.per_second for tally in measured[algorithm].refreshes])
        nothing = median([tally.cpu_each for tally in measured[algorithm].nothings])
        rows = (
            ("HTTP, routing, envelope (the POST that does nothing)", nothing),
            ("refresh token: read, check its MAC, make its child", step.refresh_tokens),
            ("access token: claims and encoding", step.claims),
            (f"access token: {algorithm} signature", step.signature),
            ("store: the UPDATE", step.statement),
            (f"store: 1/{CONNECTIONS} of a commit", step.commit),
            ("rest: checks, queue, hand-over between threads, cold caches", whole - nothing - step.known()),
        )
        for name, seconds in rows:
            section.add(f"{algorithm} {name}", micros(seconds), note=f"{seconds / whole:.0%}")
        section.add(f"{algorithm} in all", micros(whole), note=f"of {micros(wall)} by the wall clock, commits awaited")
    for algorithm, step in steps.items():
        section.add(f"{algorithm} access token with joserfc", micros(median(step.joserfc_tokens)))
        section.add(
            f"{algorithm} access token with ours",
            micros(median(step.our_tokens)),
            value=ratio(step.our_tokens, step.joserfc_tokens),
            goal=at_most(1),
            note="why keys sign by themselves",
        )
    return section
