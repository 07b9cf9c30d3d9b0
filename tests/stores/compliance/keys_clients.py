"""Signing keys and confidential clients."""

import asyncio
from dataclasses import replace

from evertoken.accounts.clients import Client
from evertoken.sessions.keys import StoredKey
from tests.stores.compliance.bench import Bench

KEY = StoredKey("kid-1", "ES256", b"\x00wrapped\xff", 1_000, None)


class KeysAndClients:
    """What the store keeps for the server itself."""

    async def test_workers_that_start_at_once_make_one_first_key(self, bench: Bench) -> None:
        """Of several workers on an empty database exactly one stores the first signing key; the others use it."""
        stores = [bench.open() for _ in range(3)]
        keys = [replace(KEY, kid=f"kid-{number}") for number in range(12)]
        added = await asyncio.gather(*(stores[n % 3].add_first_key(key) for n, key in enumerate(keys)))
        assert sum(added) == 1
        assert await stores[0].list_keys() == [keys[added.index(True)]]

    async def test_a_first_key_of_another_algorithm_is_stored_beside_the_old(self, bench: Bench) -> None:
        """Only a key of the same algorithm that still signs makes a first key superfluous."""
        store = bench.open()
        assert await store.add_first_key(KEY)
        assert not await store.add_first_key(replace(KEY, kid="kid-2"))
        assert await store.add_first_key(replace(KEY, kid="kid-3", algorithm="EdDSA"))
        await store.save_keys([replace(KEY, verifies_until_ms=9)])
        assert await store.add_first_key(replace(KEY, kid="kid-4"))

    async def test_keys_are_listed_oldest_first_and_written_over_by_their_id(self, bench: Bench) -> None:
        """Saving a key again replaces it: a retired key gets its last day, a rewrapped one its new wrapping."""
        store = bench.open()
        newer = replace(KEY, kid="a-newer", signs_from_ms=2_000)
        await store.save_keys([newer, KEY])
        assert await bench.open().list_keys() == [KEY, newer]
        retired = replace(KEY, private_wrapped=b"rewrapped", verifies_until_ms=5_000)
        await store.save_keys([retired])
        assert await store.list_keys() == [retired, newer]

    async def test_a_client_is_added_once_found_listed_and_removed(self, bench: Bench) -> None:
        """A client id is given once; the second to ask for it is told no and changes nothing."""
        store = bench.open()
        client = Client("guard-1", b"\x01" * 32, 5)
        assert await store.add_client(client)
        assert not await store.add_client(Client("guard-1", b"\x02" * 32, 6))
        other = Client("Guard-1", b"\x03" * 32, 7)
        assert await store.add_client(other)
        assert await bench.open().find_client("guard-1") == client
        assert await store.list_clients() == [other, client]
        assert await store.remove_client("guard-1")
        assert not await store.remove_client("guard-1")
        assert await store.find_client("guard-1") is None
