"""A certificate authority of a test's own, and a server's certificate from it."""

import datetime as dt
import ipaddress
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_DAY = dt.timedelta(days=1)


@dataclass(frozen=True)
class Certificates:
    """Files: of the authority, which clients trust, and of the server, which holds its key too."""

    authority: Path
    server: Path
    key: Path


def made_for(address: str, folder: Path) -> Certificates:
    """Good for one address, today; whoever may enter the folder may read them."""
    now = dt.datetime.now(dt.UTC)
    authority_key, server_key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    authority_name, server_name = _name("an authority for tests"), _name("a database")

    def certificate(subject: x509.Name, key: ec.EllipticCurvePrivateKey, *, is_authority: bool) -> x509.Certificate:
        builder = x509.CertificateBuilder(
            authority_name, subject, key.public_key(), x509.random_serial_number(), now - _DAY, now + _DAY
        ).add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        if not is_authority:
            address_itself = x509.IPAddress(ipaddress.ip_address(address))
            builder = builder.add_extension(x509.SubjectAlternativeName([address_itself]), critical=False)
        return builder.sign(authority_key, hashes.SHA256())

    folder.mkdir(exist_ok=True)
    made = Certificates(folder / "authority.pem", folder / "server.pem", folder / "server.key")
    as_pem = serialization.Encoding.PEM
    made.authority.write_bytes(certificate(authority_name, authority_key, is_authority=True).public_bytes(as_pem))
    made.server.write_bytes(certificate(server_name, server_key, is_authority=False).public_bytes(as_pem))
    made.key.write_bytes(
        server_key.private_bytes(as_pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    made.key.chmod(0o600)
    return made


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])
