"""`python -m bench.exports`: what reports cost against a loaded scale, and CSV beside the ORM with csv.

Against a database that bench.scale loaded with `--hot-account`: the statement of the longest account is
written as CSV by COPY and by ORM rows through the csv module, in turns, and each kind of report once.
"""

import argparse
import csv
import io
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from typing import Any

import django

ROUNDS = 3
PERIOD = {"from": "2022-01-01", "to": "2026-12-31"}


class Unwatched:
    """A watch over a report that nobody cancels."""

    percent = 0

    def check(self) -> None:
        """Go on."""

    def stop_by(self, stop: Callable[[], None] | None) -> None:
        """Nobody stops it."""


def write(kind: str, form: str, filters: dict[str, Any]) -> tuple[int, int]:
    """Write a report as its job does, to a file that is thrown away; return rows and bytes."""
    from monitoring.enums import ReportFormat, ReportKind  # noqa: PLC0415
    from monitoring.reports.content import Content  # noqa: PLC0415
    from monitoring.reports.filters import Filters  # noqa: PLC0415
    from monitoring.reports.kinds import KINDS  # noqa: PLC0415
    from monitoring.reports.reading import snapshot  # noqa: PLC0415
    from monitoring.reports.writers import WRITERS  # noqa: PLC0415

    found, kept = KINDS[ReportKind(kind)], Filters(filters)
    content = Content(kind, found.title, found.title_ne, found.columns(kept), filters, [])
    watch: Any = Unwatched()
    with (
        tempfile.TemporaryFile() as file,
        snapshot(watch, found.statement(kept), kept.bound(), seconds=600) as reader,
    ):
        rows = WRITERS[ReportFormat(form)](content, reader, file)
        return rows, file.tell()


def by_orm(retailer_id: int) -> int:
    """Write the same statement from model instances through the csv module; return the rows."""
    from django.utils import timezone  # noqa: PLC0415

    from credit.models import CreditLedger  # noqa: PLC0415
    from khaacho.money import ZERO  # noqa: PLC0415
    from khaacho.spreadsheets import neutral  # noqa: PLC0415

    entries = CreditLedger.objects.filter(account__retailer_id=retailer_id)
    rows = 0
    with tempfile.TemporaryFile() as file, io.TextIOWrapper(file, "utf-8-sig", newline="") as text:
        writer = csv.writer(text)
        balance = ZERO
        found = entries.select_related("vendor").order_by("created_at", "id")
        for rows, entry in enumerate(found.iterator(chunk_size=2000), start=1):  # noqa: B007
            balance += entry.amount
            writer.writerow(
                (
                    timezone.localtime(entry.created_at).date(),
                    entry.entry_number,
                    entry.transaction_type,
                    neutral(entry.reference),
                    neutral(entry.vendor.business_name),
                    neutral(entry.vendor.business_name_ne),
                    entry.due_date or "",
                    entry.amount,
                    balance,
                )
            )
    return rows


def longest() -> int:
    """Return the retailer with the longest account."""
    from credit.models import CreditAccount  # noqa: PLC0415

    return CreditAccount.objects.order_by("-last_sequence").values_list("retailer_id", flat=True)[0]


def timed(call: Callable[[], Any]) -> tuple[float, Any]:
    began = time.perf_counter()
    result = call()
    return time.perf_counter() - began, result


def compare(retailer_id: int) -> str:
    """Return CSV by COPY beside the ORM: medians of a few rounds, in turns."""
    filters = {"retailer_id": retailer_id, **PERIOD}
    ours, reference = [], []
    rows = 0
    for _ in range(ROUNDS):
        seconds, (rows, _) = timed(lambda: write("STATEMENT", "csv", filters))
        ours.append(seconds)
        reference.append(timed(lambda: by_orm(retailer_id))[0])
    fast, slow = statistics.median(ours), statistics.median(reference)
    return f"csv of {rows:,} rows: COPY {fast:.2f} s, ORM and csv {slow:.2f} s, ratio {fast / slow:.3f}"


def kinds(retailer_id: int) -> list[str]:
    """Return what each kind takes, as CSV, and the long statement in other forms."""
    asked: list[tuple[str, str, dict[str, Any]]] = [
        ("CREDIT_SUMMARY", "csv", {"group_by": "retailer"}),
        ("CREDIT_SUMMARY", "csv", {"group_by": "account"}),
        *(
            ("PURCHASE_VOLUME", "csv", {"group_by": group, **PERIOD})
            for group in ("retailer", "vendor", "product", "month")
        ),
        ("PAYMENT_DISCIPLINE", "csv", dict(PERIOD)),
        ("OUTSTANDING_LIABILITY", "csv", {}),
        ("STATEMENT", "json", {"retailer_id": retailer_id, **PERIOD}),
        ("STATEMENT", "xlsx", {"retailer_id": retailer_id, **PERIOD}),
    ]
    lines = []
    for kind, form, filters in asked:
        seconds, (rows, size) = timed(lambda k=kind, f=form, g=filters: write(k, f, g))  # type: ignore[misc]
        group = filters.get("group_by", "")
        lines.append(f"{kind} {group} {form}: {rows:,} rows, {size:,} bytes, {seconds:.2f} s")
    return lines


def main(argv: Sequence[str] | None = None) -> int:
    argparse.ArgumentParser(prog="python -m bench.exports", description=__doc__).parse_args(argv)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "khaacho.settings")
    django.setup()
    retailer_id = longest()
    print("\n".join([compare(retailer_id), *kinds(retailer_id)]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
