"""Somebody looks after a report while it is made: shows how far it is, and notices when it is cancelled.

The making thread may stand in one long statement; so the watch is a thread with a connection of its own,
which ends that statement.
"""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from django.db import Error, connections, transaction

from khaacho import jobs, sql
from khaacho.exceptions import LeaseLost
from khaacho.jobs import Claim
from monitoring.exceptions import ReportCancelled

LOOK_EVERY = 0.5  # seconds

log = logging.getLogger(__name__)


class Watch:
    """How far the report is, and whether it is still wanted."""

    def __init__(self, claim: Claim, report_id: int) -> None:
        self.percent = 0
        self._claim = claim
        self._report_id = report_id
        self._stop: Callable[[], None] | None = None
        self._over: Exception | None = None
        self._ended = threading.Event()

    def check(self) -> None:
        """Raise ReportCancelled or LeaseLost once the report is not ours to make any more."""
        if self._over is not None:
            raise self._over

    def stop_by(self, stop: Callable[[], None] | None) -> None:
        """Call `stop`, from another thread, when the report is not ours to make any more."""
        self._stop = stop

    def look(self) -> None:
        """Show the progress, under the job's fence; note when the report is cancelled or the job lost."""
        try:
            with transaction.atomic():
                show_progress(self._claim, self._report_id, self.percent)
        except (ReportCancelled, LeaseLost) as over:
            self._over = over
            if self._stop is not None:
                self._stop()

    def run(self) -> None:
        """Look again and again, until ended or no longer wanted."""
        try:
            while self._over is None and not self._ended.wait(LOOK_EVERY):
                self._look_patiently()
        finally:
            connections.close_all()

    def _look_patiently(self) -> None:
        try:
            self.look()
        except Error:  # the connection broke: the fence still guards what is stored
            log.warning("report.watch_failed", exc_info=True)
            connections.close_all()

    def end(self) -> None:
        self._ended.set()


def show_progress(claim: Claim, report_id: int, percent: int) -> None:
    """Write a running report's progress, in the caller's transaction.

    Locks the report, then its job. Raises ReportCancelled, and LeaseLost when another worker has the job.
    """
    if not sql.execute(
        "UPDATE reports SET progress = %s WHERE id = %s AND state = 'running'",
        [percent, report_id],
    ):
        raise ReportCancelled
    jobs.report_progress(claim, percent)


@contextmanager
def watching(claim: Claim, report_id: int) -> Iterator[Watch]:
    """Watch over the making of a report until the block is left."""
    watch = Watch(claim, report_id)
    thread = threading.Thread(target=watch.run, name=f"report-{report_id}", daemon=True)
    thread.start()
    try:
        yield watch
    finally:
        watch.end()
        thread.join()
