"""Optional encryption in the format of age (age-encryption.org), streamed and authenticated, by pyrage.

BACKUP_ENCRYPTION_KEY_FILE is an identity as age-keygen writes it, with which backups are read; its public
half is among those for whom they are written. BACKUP_ENCRYPTION_RECIPIENTS are further public keys, such as
that of the key which lies in the owner's safe. No key is ever an argument of a command or in a log line.
"""

import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyrage
from django.conf import settings

from monitoring.backups.faults import BackupFailed, Unreadable

OPEN_TO_OTHERS = stat.S_IRWXG | stat.S_IRWXO


@dataclass(frozen=True)
class Keys:
    """For whom backups are written, and with what they are read; both empty: they are not encrypted."""

    recipients: Sequence[Any] = ()
    identities: Sequence[Any] = ()

    @property
    def encrypts(self) -> bool:
        return bool(self.recipients)


def keys(key_file: str = "") -> Keys:
    """Return the keys of the settings; `key_file` instead of theirs. Raises BackupFailed with what is wrong."""
    path = key_file or settings.BACKUP_ENCRYPTION_KEY_FILE
    identities = _identities(Path(path)) if path else []
    recipients = [identity.to_public() for identity in identities]
    for number, text in enumerate(settings.BACKUP_ENCRYPTION_RECIPIENTS, start=1):
        try:
            recipients.append(pyrage.x25519.Recipient.from_str(text))
        except pyrage.RecipientError:
            raise BackupFailed(
                f"BACKUP_ENCRYPTION_RECIPIENTS: number {number} is no public key of age (age1…)."
            ) from None
    return Keys(recipients, identities)


def _identities(path: Path) -> list[Any]:
    try:
        if path.stat().st_mode & OPEN_TO_OTHERS:
            raise BackupFailed(f"Others may read the key: chmod 600 {path}")
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BackupFailed(
            f"BACKUP_ENCRYPTION_KEY_FILE {path} cannot be read ({type(error).__name__})."
        ) from None
    written = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    try:
        found = [pyrage.x25519.Identity.from_str(line) for line in written]
    except pyrage.IdentityError:
        found = []
    if not found:
        raise BackupFailed(
            f"{path} holds no key of age. Make one: manage.py make_backup_key {path}"
        )
    return found


def new_key() -> tuple[str, str]:
    """Return a new identity as age-keygen writes it, and its public key."""
    identity = pyrage.x25519.Identity.generate()
    public = str(identity.to_public())
    return f"# public key: {public}\n{identity}\n", public


def seal(text: str, given: Keys) -> str:
    sealed: bytes = pyrage.encrypt(text.encode(), list(given.recipients), armored=True)
    return sealed.decode()


def unseal(sealed: str, given: Keys) -> str:
    """Return the text. Raises Unreadable."""
    if not given.identities:
        raise Unreadable(
            "The backup is encrypted and there is no key: set BACKUP_ENCRYPTION_KEY_FILE, or give --key-file."
        )
    try:
        text: bytes = pyrage.decrypt(sealed.encode(), list(given.identities))
    except pyrage.DecryptError:
        raise Unreadable(
            "The key is not one that this backup was encrypted for, or its manifest was altered."
        ) from None
    return text.decode()


def encrypt(reader: Any, writer: Any, given: Keys) -> None:
    """Encrypt a stream. What reader and writer raise comes back as pyrage.EncryptError: they keep their own."""
    pyrage.encrypt_io(reader, writer, list(given.recipients))


def decrypt(reader: Any, writer: Any, given: Keys) -> None:
    """Decrypt a stream. Raises pyrage.DecryptError also for what reader and writer raise."""
    pyrage.decrypt_io(reader, writer, list(given.identities))
