import csv
from argparse import ArgumentTypeError
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from vendors import catalogue, services

SHOWN_ERRORS = 20


def column(value: str) -> tuple[str, str]:
    """`name={type} {package_size}` → ("name", "{type} {package_size}")."""
    name, _, source = value.partition("=")
    if name not in catalogue.FIELDS or not source:
        raise ArgumentTypeError(f"{value}: expected FIELD=HEADER, FIELD one of {catalogue.FIELDS}")
    return name, source


class Command(BaseCommand):
    help = (
        "Load products from a CSV file (UTF-8, with a header), created or updated by SKU. "
        "Nothing is written when any line has an error, unless --skip-errors. "
        f"Columns: {', '.join(catalogue.FIELDS)}; required: {', '.join(catalogue.REQUIRED)}. "
        "Exit status 1 when a line had an error."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path, metavar="FILE.csv")
        parser.add_argument(
            "--column",
            type=column,
            action="append",
            default=[],
            metavar="FIELD=HEADER",
            help="take a field from another header, or from a template: 'name={type} {size}'",
        )
        parser.add_argument("--dry-run", action="store_true", help="check and count, write nothing")
        parser.add_argument(
            "--skip-errors", action="store_true", help="load the lines without errors"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        found = self._read(options["file"], dict(options["column"]))
        for error in found.errors[:SHOWN_ERRORS]:
            self.stderr.write(str(error))
        if len(found.errors) > SHOWN_ERRORS:
            self.stderr.write(f"… and {len(found.errors) - SHOWN_ERRORS} more")
        if found.errors and not options["skip_errors"] and not options["dry_run"]:
            raise CommandError(f"{len(found.errors)} errors; nothing was written")
        counts = services.import_products(
            found.rows, dry_run=options["dry_run"], progress=self._progress
        )
        would = "would be " if options["dry_run"] else ""
        self.stdout.write(
            f"{counts.created} {would}created, {counts.updated} {would}updated,"
            f" {counts.unchanged} unchanged, {len(found.errors)} errors"
        )
        if found.errors:
            raise CommandError(f"{len(found.errors)} lines had errors")

    def _read(self, path: Path, columns: dict[str, str]) -> catalogue.Catalogue:
        try:
            with path.open(encoding="utf-8-sig", newline="") as file:
                reader = csv.DictReader(file)
                headers = set(reader.fieldnames or [])
                self._check_headers(headers, columns)
                return catalogue.read(reader, columns)
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise CommandError(f"{path} cannot be read: {error}") from error
        except (KeyError, ValueError, IndexError) as error:
            raise CommandError(f"a --column template names no header: {error}") from error

    def _check_headers(self, headers: set[str], columns: dict[str, str]) -> None:
        for name in catalogue.REQUIRED:
            source = columns.get(name, name)
            if "{" not in source and source not in headers:
                raise CommandError(f"there is no column {source}; use --column {name}=HEADER")
        for name, source in columns.items():
            if "{" not in source and source not in headers:
                raise CommandError(f"there is no column {source} for {name}")

    def _progress(self, done: int, total: int) -> None:
        self.stderr.write(f"{done} of {total}")
