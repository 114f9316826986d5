"""The manifest beside each backup: what the file is, and what the database was when it was made.

A backup exists exactly if its manifest does: that is renamed last. Of an encrypted backup the counts and
sums are encrypted too, for the same keys.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from monitoring.backups import encryption
from monitoring.backups.contents import Table, Tables
from monitoring.backups.faults import Unreadable

FORMAT = 1
MAX_BYTES = 16 * 2**20  # of a manifest; more is none


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """`size` and `sha256` are of the file as it lies there; `dumped` counts pg_dump's bytes before zstd.

    `sealed` is the encrypted text of the contents, else empty. `snapshot_at` is the moment that it holds.
    """

    name: str
    file: str
    size: int
    sha256: str
    dumped: int
    database: str
    database_size: int
    encoding: str
    collate: str
    ctype: str
    server_version: int
    dump_version: int
    migrations: Mapping[str, str]
    encrypted: bool
    snapshot_at: datetime
    finished_at: datetime
    host: str
    release: str
    tables: Tables | None = None
    sealed: str = ""
    verified_at: datetime | None = None
    verify_seconds: float | None = None

    def sealed_for(self, keys: encryption.Keys) -> "Manifest":
        """Return it with its contents encrypted for the keys, when there are any."""
        if not self.encrypted or self.tables is None:
            return self
        text = json.dumps(_plain(self.tables), ensure_ascii=False)
        return replace(self, tables=None, sealed=encryption.seal(text, keys))

    def contents(self, keys: encryption.Keys) -> Tables:
        """Return what it holds. Raises Unreadable when it is encrypted for another key."""
        if self.tables is not None:
            return self.tables
        return _tables(json.loads(encryption.unseal(self.sealed, keys)))


def write(manifest: Manifest, path: Path) -> None:
    """Write a manifest so that it is there whole or not at all, also after a loss of power."""
    fields = asdict(manifest)
    fields["tables"] = None if manifest.tables is None else _plain(manifest.tables)
    text = json.dumps({"format": FORMAT, **fields}, default=_moment, ensure_ascii=False, indent=1)
    draft = path.with_name(f".{path.name}.partial")
    try:
        with draft.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError:
        draft.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def sync_directory(directory: Path) -> None:
    """Make renames in a directory last over a loss of power."""
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def read(path: Path) -> Manifest:
    """Return the manifest in a file. Raises Unreadable with why it is none."""
    try:
        with path.open("rb") as file:
            text = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise Unreadable(
            f"There is no manifest {path.name} beside it: without one nobody knows whether the file is whole."
        ) from None
    except OSError as error:
        raise Unreadable(f"{path} cannot be read: {error.strerror}.") from error
    return parse(text, path.name)


def parse(text: bytes, called: str) -> Manifest:
    """Return the manifest of a text. Raises Unreadable."""
    try:
        fields: dict[str, Any] = json.loads(text)
        if fields.pop("format") != FORMAT:
            raise Unreadable(f"{called} was written by a newer Khaacho: restore it with that one.")
        for name in ("snapshot_at", "finished_at", "verified_at"):
            if fields[name] is not None:
                fields[name] = datetime.fromisoformat(fields[name])
        if fields["tables"] is not None:
            fields["tables"] = _tables(fields["tables"])
        found = Manifest(**fields)
        sound = "/" not in found.file and found.size >= 0 and len(found.sha256) == 64
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Unreadable(f"{called} is no manifest of a backup, or is damaged.") from error
    if not sound:
        raise Unreadable(f"{called} is no manifest of a backup, or is damaged.")
    return found


def _moment(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(value)


def _plain(tables: Tables) -> dict[str, Any]:
    return {name: {"rows": t.rows, "sums": dict(t.sums)} for name, t in tables.items()}


def _tables(plain: Mapping[str, Any]) -> Tables:
    return {name: Table(int(t["rows"]), dict(t["sums"])) for name, t in plain.items()}
