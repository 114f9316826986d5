"""Everything that PostgreSQL says about itself, section by section; what cannot be read says why."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from monitoring.database import capabilities, indexes, sessions, space, statements, tables
from monitoring.database.access import Unavailable


@dataclass(frozen=True)
class Section:
    """What one question was answered: rows of one frozen record each, or what stood in the way."""

    name: str
    rows: list[Any]
    problem: Unavailable | None = None


def overview(*, top: int) -> list[Section]:
    """Answer every question, each within its own deadline, with at most `top` rows.

    Without a connection the first question's failure stands for all: nobody waits for a dead server
    many times over.
    """
    questions: dict[str, Callable[[], list[Any]]] = {
        "capabilities": capabilities.capabilities,
        "statements": lambda: statements.by_total_time(limit=top),
        "slow_queries": lambda: statements.slow(limit=top),
        "tables": lambda: tables.tables(limit=top),
        "swollen_tables": lambda: tables.swollen(limit=top),
        "missing_indexes": lambda: tables.scanned(limit=top),
        "unindexed_foreign_keys": lambda: tables.unindexed_foreign_keys(limit=top),
        "autovacuum": lambda: tables.vacuum_due(limit=top),
        "unused_indexes": lambda: indexes.unused(limit=top),
        "duplicate_indexes": lambda: indexes.redundant(limit=top),
        "invalid_indexes": lambda: indexes.invalid(limit=top),
        "connections": lambda: sessions.connections(limit=top),
        "blocking": lambda: sessions.blocking(limit=top),
        "maintenance": lambda: sessions.progress(limit=top),
        "space": lambda: [space.space()],
        "wraparound": lambda: space.wraparound(limit=top),
        "vacuum_held_back": lambda: space.holders(limit=top),
        "sequences": lambda: space.sequences(limit=top),
    }
    found: list[Section] = []
    dead: Unavailable | None = None
    for name, ask in questions.items():
        section = Section(name, [], dead) if dead else _asked(name, ask)
        if section.problem is not None and section.problem.stops_all:
            dead = section.problem
        found.append(section)
    return found


def _asked(name: str, ask: Callable[[], list[Any]]) -> Section:
    try:
        return Section(name, ask())
    except Unavailable as problem:
        return Section(name, [], problem)
