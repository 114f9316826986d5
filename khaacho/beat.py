"""The clock. Beat does its ticks itself, so that neither Redis nor a busy worker holds time up."""

import logging
import time
from typing import Any

from django.db import InterfaceError, OperationalError, close_old_connections
from django.db.models import QuerySet
from django_celery_beat.models import PeriodicTask
from django_celery_beat.schedulers import DatabaseScheduler, ModelEntry

from khaacho.jobs.nodes import BEAT, Node

log = logging.getLogger(__name__)

NOTED_EVERY = 4.0  # seconds, below beat's longest sleep


class Row(ModelEntry):  # type: ignore[misc]  # an untyped library
    def save(self) -> None:
        """Write when it last ran and nothing else: an operator may be editing the row."""
        PeriodicTask.objects.filter(pk=self.model.pk).update(
            last_run_at=self.model.last_run_at, total_run_count=self.model.total_run_count
        )


class Scheduler(DatabaseScheduler):  # type: ignore[misc]  # an untyped library
    """Calls the due task, one short transaction, where Celery's would publish a message to a worker."""

    Entry = Row
    producer = None
    noted_at = float("-inf")

    def tick(self, *args: Any, **options: Any) -> Any:
        """Look what is due; leave a sign that beat lives."""
        if time.monotonic() - self.noted_at > NOTED_EVERY:
            self.noted_at = time.monotonic()
            self._note()
        return super().tick(*args, **options)

    def _note(self) -> None:
        close_old_connections()
        try:
            Node(BEAT).report()
        except (OperationalError, InterfaceError) as error:
            log.warning("beat.unnoted", extra={"error": repr(error)[:200]})

    def enabled_models_qs(self) -> QuerySet[PeriodicTask]:
        """Read all rows: the original leaves out what is not due within two hours, so a slot that was
        missed by more would come a day late.
        """
        rows: QuerySet[PeriodicTask] = PeriodicTask.objects.filter(enabled=True)
        return rows

    def all_as_schedule(self) -> dict[str, Row]:
        """Read the rows; while the database is away, wait for it: the original ends the process."""
        while True:
            try:
                rows: dict[str, Row] = super().all_as_schedule()
            except (OperationalError, InterfaceError):
                log.warning("beat.database_away")
                close_old_connections()
                time.sleep(1)
            else:
                return rows

    def apply_async(
        self, entry: Row, producer: object = None, advance: bool = True, **_: Any
    ) -> Any:
        close_old_connections()
        entry = self.reserve(entry) if advance else entry
        try:
            result = self.app.tasks[entry.task](*entry.args, **entry.kwargs)
        except (OperationalError, InterfaceError):
            self._forget(entry)
            raise
        self._do_sync()
        return result

    def _forget(self, entry: Row) -> None:
        """Read the rows again in a second: what the database could not do is still due."""
        self._dirty.discard(entry.name)
        self._initial_read = True
        self._heap = None
        time.sleep(1)
