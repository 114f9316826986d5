"""What is kept of sources: thirty days, as job minutes are; the nightly purge deletes what is older."""

from collections.abc import Callable
from datetime import timedelta

from khaacho.purging import Part

KEPT = timedelta(days=30)


def _part(table: str, moment: str) -> Part:
    return Part(
        name=table.replace("_", " "),
        table=table,
        condition=f"{moment} < statement_timestamp() - %(kept)s",
        order=moment,
        params={"kept": KEPT},
    )


def statement_spans() -> Part:
    return _part("statement_spans", "since")


def origin_spans() -> Part:
    return _part("origin_spans", "since")


def origin_hours() -> Part:
    return _part("origin_hours", "since")


def statement_places() -> Part:
    return _part("statement_places", "seen_at")


def statement_forms() -> Part:
    return _part("statement_forms", "seen_at")


PARTS: tuple[Callable[[], Part], ...] = (
    statement_spans,
    origin_spans,
    origin_hours,
    statement_places,
    statement_forms,
)
