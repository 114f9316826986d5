"""Backups as tests make them, restore them and look at what is there."""

from io import StringIO
from pathlib import Path

from django.conf import settings
from django.core.management import call_command

from monitoring.backups import encryption, making, shelf
from monitoring.backups.manifest import Manifest
from tests.monitoring.database.servers import Server


def directory() -> Path:
    return shelf.directory()


def make(**more) -> Manifest:
    return making.make(directory(), encryption.keys(), **more)


def file_of(manifest: Manifest) -> Path:
    return Path(settings.BACKUP_DIR) / manifest.file


def names() -> list[str]:
    """Return the names of all files in the directory, but for the lock's."""
    return sorted(path.name for path in directory().iterdir() if path.name != shelf.LOCK_FILE)


def run(command: str, *arguments: str) -> str:
    said = StringIO()
    call_command(command, *arguments, stdout=said)
    return said.getvalue()


def databases(server: Server, beginning: str) -> list[str]:
    with server.connect("postgres") as admin:
        rows = admin.execute(
            "SELECT datname FROM pg_database WHERE starts_with(datname, %s) ORDER BY 1", [beginning]
        ).fetchall()
    return [row[0] for row in rows]
