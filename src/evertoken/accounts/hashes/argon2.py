"""
argon2: the hashes that we make, and those of others with other parameters.

Django writes `argon2$argon2id$...`, everybody else `$argon2id$...`.
"""

import base64
import os
from dataclasses import dataclass
from typing import Final

from argon2 import Parameters, extract_parameters
from argon2.exceptions import HashingError, InvalidHashError, VerificationError, VerifyMismatchError
from argon2.low_level import ARGON2_VERSION, Type, error_to_str, hash_secret, verify_secret

from evertoken.accounts.hashes.cost import (
    MAX_MEMORY_KIB,
    MAX_PARALLELISM,
    MAX_TIME_COST,
    MAX_WORK_KIB,
    HashingParameters,
)
from evertoken.accounts.hashes.family import damaged, too_dear
from evertoken.errors import TemporarilyUnavailable

SALT_BYTES: Final = 16
HASH_BYTES: Final = 32
"""Both as RFC 9106 §4 recommends."""

_LEAST_DIGEST_BYTES: Final = 12  # passlib may be told to write short ones; a shorter one still is matched by chance

# By number, since argon2-cffi has one exception for "the hash is damaged" and for these.
_OUR_FAULT: Final = frozenset(error_to_str(code) for code in (-22, -33))  # no memory, no thread


@dataclass(frozen=True, slots=True)
class Argon2Hash:
    """A hash that argon2 may be given."""

    encoded: str
    parameters: Parameters

    def __repr__(self) -> str:
        return "Argon2Hash()"

    def matches(self, password: bytes) -> bool:
        """
        Whether this is its password.

        Raises:
            TemporarilyUnavailable: There is no memory for it, or no thread.
            HashRefused: argon2 finds it damaged; no work was done.
        """
        try:
            return verify_secret(self.encoded.encode("ascii"), password, self.parameters.type)
        except VerifyMismatchError:
            return False
        except VerificationError as error:
            if str(error) in _OUR_FAULT:
                raise TemporarilyUnavailable("a password could not be checked") from error
            raise damaged() from error

    def is_weaker_than(self, wanted: HashingParameters) -> bool:
        """Whether it was made with less than today's parameters."""
        # Lower than ours, not other than ours: while a change is rolled out, servers with the old settings must
        # not undo what those with the new ones have done.
        found = self.parameters
        return (
            found.type is not Type.ID
            or found.version < ARGON2_VERSION
            or found.time_cost < wanted.time_cost
            or found.memory_cost < wanted.memory_kib
            or found.salt_len < SALT_BYTES
            or found.hash_len < HASH_BYTES
        )

    def costs_as(self, wanted: HashingParameters) -> bool:
        """Whether it has today's memory and passes."""
        return (self.parameters.time_cost, self.parameters.memory_cost) == (wanted.time_cost, wanted.memory_kib)


def read(encoded: str, own: HashingParameters) -> Argon2Hash:
    """
    Read `$argon2id$v=19$m=...,t=...,p=...$salt$digest`, or Django's form of it.

    Args:
        own: Hashes of these parameters are read, whatever they cost: we have made them.

    Raises:
        HashRefused: It is damaged, or asks for too much.
    """
    encoded = encoded.removeprefix("argon2") if encoded.startswith("argon2$") else encoded
    try:
        found = extract_parameters(encoded)
    except InvalidHashError as error:
        raise damaged() from error
    if found.hash_len < _LEAST_DIGEST_BYTES:
        raise damaged()
    work = found.time_cost * found.memory_cost
    is_bearable = (
        found.time_cost <= MAX_TIME_COST
        and found.memory_cost <= MAX_MEMORY_KIB
        and found.parallelism <= MAX_PARALLELISM
        and work <= max(MAX_WORK_KIB, own.time_cost * own.memory_kib)
    )
    if not is_bearable:
        raise too_dear()
    return Argon2Hash(encoded, found)


def make(password: bytes, cost: HashingParameters) -> str:
    """
    A new hash, in the encoded form that names its own parameters.

    Raises:
        TemporarilyUnavailable: There is no memory for it.
    """
    try:
        encoded = hash_secret(
            password,
            os.urandom(SALT_BYTES),
            time_cost=cost.time_cost,
            memory_cost=cost.memory_kib,
            parallelism=cost.parallelism,
            hash_len=HASH_BYTES,
            type=Type.ID,
        )
    except HashingError as error:
        raise TemporarilyUnavailable("a password could not be hashed") from error
    return encoded.decode("ascii")


def unmatchable(cost: HashingParameters) -> Argon2Hash:
    """A well-formed hash of no known password: random where the digest should be. Costs as much to check as any."""
    salt, digest = (base64.b64encode(os.urandom(size)).decode().rstrip("=") for size in (SALT_BYTES, HASH_BYTES))
    settings = f"m={cost.memory_kib},t={cost.time_cost},p={cost.parallelism}"
    return read(f"$argon2id$v={ARGON2_VERSION}${settings}${salt}${digest}", cost)
