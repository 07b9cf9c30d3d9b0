"""A real keyring for tests: the plain text file of keyrings.alt."""

from pathlib import Path

from keyrings.alt.file import PlaintextKeyring  # type: ignore[import-untyped]

from evertoken.client.token_stores.keyring import KeyringStore


def plaintext_store(folder: Path) -> KeyringStore:
    """A store in a keyring file of that folder."""
    keyring = PlaintextKeyring()
    keyring.file_path = str(folder / "keyring.cfg")
    return KeyringStore("evertoken tests", "ada", keyring=keyring)
