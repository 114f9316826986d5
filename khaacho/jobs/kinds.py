"""Kinds of work: what a job's row names, and what is done for it."""

from collections.abc import Iterable
from dataclasses import dataclass

from khaacho.enums import Queue
from khaacho.jobs.queues import QUEUES

NAME_MAX = 80  # jobs.kind


@dataclass(frozen=True)
class Kind:
    """A kind of work. `function` is a dotted path; limits are seconds of Celery's soft and hard limit.

    An atomic kind runs inside the transaction that marks its job done. A kind that talks to the
    network is not atomic: it receives `claim` and commits its own steps.
    """

    name: str
    function: str
    queue: Queue
    soft_limit: int
    hard_limit: int
    atomic: bool = True


known: dict[str, Kind] = {}


def register(
    name: str,
    function: str,
    *,
    queue: Queue,
    soft_limit: int | None = None,
    hard_limit: int | None = None,
    atomic: bool = True,
    outlasts: bool = False,
) -> None:
    """Make a kind of work known; called from AppConfig.ready(). Limits are its queue's, or narrower.

    With `outlasts` they may be wider, for work by night that a whole database takes part in. Raises
    ValueError for a bad name, and for limits that are wider than the queue's.
    """
    rule = QUEUES[queue]
    hard = rule.hard_limit if hard_limit is None else hard_limit
    soft = min(rule.soft_limit, hard) if soft_limit is None else soft_limit
    kind = Kind(name, function, queue, soft, hard, atomic)
    if len(name) > NAME_MAX:
        raise ValueError(f"kind of job longer than {NAME_MAX} characters: {name}")
    if soft > hard or (not outlasts and (soft > rule.soft_limit or hard > rule.hard_limit)):
        raise ValueError(f"limits of {name} are wider than those of its queue {queue.value}")
    if known.setdefault(name, kind) != kind:
        raise ValueError(f"two kinds of job are called {name}")


def registered() -> Iterable[Kind]:
    return known.values()


def hard_limits() -> dict[str, int]:
    """Return the hard limit of each queue by its name, and of each kind that has a narrower one."""
    limits = {queue.value: rule.hard_limit for queue, rule in QUEUES.items()}
    narrow = {k.name: k.hard_limit for k in registered() if k.hard_limit != limits[k.queue.value]}
    return limits | narrow


def limits_of(kind: str, queue: str) -> tuple[int, int]:
    """Return the soft and hard limit of a kind in seconds; of one that is not known, its queue's."""
    found: Kind | None = known.get(kind)
    if found is None:
        rule = QUEUES[Queue(queue)]
        return rule.soft_limit, rule.hard_limit
    return found.soft_limit, found.hard_limit
