"""A line of the checklist, and the walk along all of them, whatever one of them runs into."""

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import redis
from django.db import Error, transaction

from khaacho.exceptions import KhaachoError

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Fault:
    """What is wrong, in a sentence, and what mends it: commands or settings to paste."""

    said: str
    remedy: str


@dataclass(frozen=True)
class Line:
    """One thing that must be so. `look` yields what is not."""

    name: str
    title: str
    look: Callable[[], Iterable[Fault]]


@dataclass(frozen=True)
class Verdict:
    """What looking found: the line passes when nothing is at fault."""

    line: Line
    faults: tuple[Fault, ...]

    @property
    def passes(self) -> bool:
        return not self.faults


def walk(lines: Iterable[Line]) -> Iterator[Verdict]:
    """Look at each line in turn, in a savepoint of its own; what cannot be looked at is a fault."""
    for line in lines:
        yield Verdict(line, _faults(line))


def _faults(line: Line) -> tuple[Fault, ...]:
    try:
        with transaction.atomic():
            return tuple(line.look())
    except Error as error:
        return (_unread(line, error, "python manage.py db_report --top 3"),)
    except redis.RedisError as error:
        return (_unread(line, error, 'redis-cli -u "$REDIS_URL" ping'),)
    except (KhaachoError, OSError) as error:
        return (_unread(line, error, f"python manage.py preflight --only {line.name} --traceback"),)


def _unread(line: Line, error: Exception, remedy: str) -> Fault:
    log.warning("preflight.unread", extra={"line": line.name, "error": type(error).__name__})
    said = str(error).strip().split("\n")[0]
    return Fault(f"It could not be looked at: {type(error).__name__}: {said}", remedy)
