"""Facts travel up the layers: one job for each subscriber, inserted in the publisher's transaction.

An event is a frozen dataclass in its publisher's `events.py`, past tense, ids and strings only.
A handler is a dotted path in the subscriber's `handlers.py`; it is idempotent and receives the event.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connection, transaction
from django.utils.module_loading import import_string

from khaacho import jobs
from khaacho.enums import Queue


@dataclass(frozen=True, kw_only=True)
class Event:
    """A fact. Subclasses add ids and strings."""

    @property
    def reference(self) -> str:
        """What the fact is about, for people: `order:42`."""
        return ""


_subscribers: dict[str, list[str]] = {}
_events: dict[str, type[Event]] = {}


def subscribe(event: type[Event], handler: str, *, queue: Queue = Queue.ORDER_PROCESSING) -> None:
    """Have `handler` called, as a job of `queue`, for each published event of exactly that type.

    Raises ValueError when another event has the same name, which jobs could not tell apart.
    """
    if _events.setdefault(event.__name__, event) is not event:
        raise ValueError(f"two events are called {event.__name__}")
    kind = f"{event.__name__}>{handler}"
    jobs.register(kind, "khaacho.events.deliver", queue=queue)
    kinds = _subscribers.setdefault(event.__name__, [])
    if kind not in kinds:
        kinds.append(kind)


def publish(*facts: Event) -> None:
    """Insert one job per fact and subscriber in the caller's transaction. One statement.

    Raises TransactionManagementError outside a transaction, whether or not anyone subscribed.
    """
    jobs.insert(jobs_of(*facts))


def jobs_of(*facts: Event) -> list[jobs.NewJob]:
    """Return the jobs that publishing inserts, for the statement that writes the fact itself."""
    _tell(facts)
    return [
        jobs.NewJob(kind, {"kind": kind, "event": vars(fact)}, fact.reference)
        for fact in facts
        for kind in _subscribers.get(type(fact).__name__, ())
    ]


def _tell(facts: Sequence[Event]) -> None:
    """Log the facts once they stand; who is logged at has a name of the app that publishes them."""

    def tell() -> None:
        for fact in facts:
            logging.getLogger(type(fact).__module__).info(type(fact).__name__, extra=vars(fact))

    if facts and connection.in_atomic_block:  # else they are refused
        transaction.on_commit(tell, robust=True)


def deliver(*, kind: str, event: dict[str, Any]) -> None:
    """Rebuild the event and call its handler; runs in the job's transaction."""
    name, handler = kind.split(">")
    import_string(handler)(_events[name](**event))
