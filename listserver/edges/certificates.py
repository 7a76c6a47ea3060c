"""When a certificate ends."""

from datetime import datetime
from pathlib import Path, PurePath

from cryptography import x509

from listserver.config import Config


def certificates(config: Config) -> dict[str, PurePath]:
    """Give the certificates in the settings, by the section that names them."""
    named = {"smtp": config.smtp.tls_certificate, "service": config.service.tls_certificate}
    return {section: file for section, file in named.items() if file is not None}


def not_after(file: PurePath) -> datetime:
    """Read when a chain's first certificate, which is the server's own, ends.

    Raises:
        OSError: if the file can't be read, or holds no certificate.
    """
    octets = Path(file).read_bytes()
    try:
        return x509.load_pem_x509_certificates(octets)[0].not_valid_after_utc
    except ValueError as problem:
        raise OSError(f"{file} holds no certificate") from problem
