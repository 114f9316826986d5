"""What a report is, apart from its rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Any

from monitoring.exceptions import ReportTooLong
from monitoring.reports.columns import Column
from monitoring.reports.files import MAX_BYTES


@dataclass(frozen=True)
class Content:
    """Title, columns and filters of one report; `facts` are (label, value) for people."""

    kind: str
    title: str
    title_ne: str
    columns: Sequence[Column]
    filters: Mapping[str, Any]
    facts: Sequence[tuple[str, str]]


def check_size(file: IO[bytes]) -> None:
    """Raise ReportTooLong for a file over the limit."""
    if file.tell() > MAX_BYTES:
        raise ReportTooLong(
            f"The file is larger than {MAX_BYTES // 1024**2} MB; narrow the report."
        )
