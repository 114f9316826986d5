from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from khaacho import log_archive, log_files


class Command(BaseCommand):
    help = (
        "Begin new log files in LOG_DIR, compress the old ones and delete what is too old. Files are rotated"
        " by who writes them; this is for files that nobody writes any more, and before logs are handed on."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--dry-run", action="store_true", help="say what is there, change nothing"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        found = [each for each in log_files.files() if each.path.exists()]
        if not found:
            raise CommandError(
                "There are no log files: LOG_DIR is not set, or nothing was written."
            )
        for each in found:
            if not options["dry_run"]:
                each.rotate()
                each.tidy()
            old = log_archive.rotated(each.path)
            size = sum(_size(file) for file in old) / 2**20
            days = f"kept {each.kept_days} days"
            self.stdout.write(f"{each.path}: {len(old)} older files, {size:.1f} MiB, {days}")


def _size(file: Path) -> int:
    """Return a file's bytes; none of one that is compressed or deleted meanwhile."""
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return 0
