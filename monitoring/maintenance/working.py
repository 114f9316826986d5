"""What the job of a maintenance does.

The effect and `done` of a job belong in one transaction; VACUUM and REINDEX CONCURRENTLY refuse to be in
any. So the statement runs on an autocommitting connection of its own, and is one that may be repeated:
whoever has the job under a newer fence ends the session of the one before, by `(pid, backend_start)`,
and does the whole again. What is written about it (state, log) is guarded by the fence as everywhere.
"""

import json
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any, NoReturn

import psycopg
from django.db import Error, connections, transaction
from psycopg import sql as compose
from psycopg.types.json import Jsonb

from khaacho import jobs, logs, sql
from khaacho.exceptions import Invalid, KhaachoError, LeaseLost
from khaacho.jobs import Claim
from monitoring.maintenance import targets
from monitoring.maintenance.asking import application_name
from monitoring.maintenance.kinds import RULES, MaintenanceKind
from monitoring.maintenance.runs import ERROR_MAX, LOG_MAX, MaintenanceRun
from monitoring.maintenance.targets import Target

LOOK_EVERY = 0.5  # seconds
SPARE_SECONDS = 60  # of the job's soft limit, for the log and the end
STOP_SECONDS = 5.0

log = logging.getLogger(__name__)


class Failed(KhaachoError):
    """The maintenance was not done; the message says why, and what to do."""

    code = "maintenance_failed"


class Over(KhaachoError):
    """The run is not ours to do: it was cancelled, or is done."""

    code = "maintenance_over"


BEGIN = """
UPDATE maintenance_runs SET state = 'running', progress = 0, phase = '', error = '',
    started_at = clock_timestamp(), finished_at = NULL, pid = %(pid)s, backend_start = %(start)s
WHERE id = %(id)s AND state IN ('queued', 'running')
"""
SHOW = """
UPDATE maintenance_runs SET progress = %(percent)s, phase = %(phase)s, log = %(log)s
WHERE id = %(id)s AND state = 'running'
"""
END = """
UPDATE maintenance_runs SET state = %(state)s, error = %(error)s, log = %(log)s, result = %(result)s,
    phase = '', progress = CASE WHEN %(state)s = 'done' THEN 100 ELSE progress END,
    finished_at = clock_timestamp()
WHERE id = %(id)s AND state IN ('queued', 'running')
"""
KEEP_LOG = "UPDATE maintenance_runs SET log = %s WHERE id = %s AND state = 'cancelled'"
PROGRESS = "SELECT pct, phase FROM monitor.maintenance_progress WHERE pid = %s"
PREDECESSOR = """
SELECT pg_terminate_backend(a.pid, 5000) FROM pg_stat_activity a, maintenance_runs r
WHERE r.id = %s AND a.pid = r.pid AND a.backend_start = r.backend_start AND a.application_name = %s
"""


def maintain(claim: Claim, run_id: int) -> None:
    """Do a run's maintenance. One that was cancelled, or is over, is left as it is.

    What PostgreSQL refuses is failed at once, with its words; a fault of ours after the last attempt.
    Raises LeaseLost, and whatever went wrong before that.
    """
    run = MaintenanceRun.objects.filter(pk=run_id).first()
    if run is None or not run.is_open:
        return
    work = _Work(claim, run)
    try:
        work.do()
    except Over:
        work.keep_log()
        log.info("maintenance.cancelled", extra={"run_id": run_id})
    except LeaseLost:
        work.keep_log()
        raise
    except KhaachoError as refusal:
        work.end("failed", refusal.message)
    except Exception as error:
        if claim.attempts >= claim.max_attempts:
            work.end("failed", f"{type(error).__name__}: {error}")
        raise


class _Work:
    """One attempt at one run: its session, what that says, and whether it is still wanted."""

    def __init__(self, claim: Claim, run: MaintenanceRun) -> None:
        self.claim = claim
        self.run = run
        self.kind = MaintenanceKind(run.kind)
        self.rule = RULES[self.kind]
        self.lines: list[str] = []
        self.warnings: list[str] = []
        self.result: Any = None
        self.raw: psycopg.Connection[Any] | None = None
        self.over: Exception | None = None
        self.user, self.server_version = "", 0
        self.ended = threading.Event()

    # The attempt

    def do(self) -> None:
        target = self._target()
        sql.fetch(PREDECESSOR, [self.run.pk, application_name(self.run.pk)])
        with self._session() as raw:
            self._begin(raw)
            with self._watched():
                self._execute(raw, target)
            self._raise_if_over()
        if self.warnings:
            raise Failed(" ".join([*self.warnings, self._remedy(target)]))
        self.end("done")

    def _target(self) -> Target:
        try:
            return targets.find(self.kind, self.run.target)
        except Invalid as gone:
            raise Failed(f"{self.run.target} is not there any more.") from gone

    def _begin(self, raw: "psycopg.Connection[Any]") -> None:
        """Say in one transaction under the fence that it runs, and in which session. Raises Over, LeaseLost."""
        start = raw.execute(
            "SELECT backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid()"
        ).fetchone()
        assert start is not None
        began: datetime = start[0]
        with transaction.atomic():
            values = {"pid": raw.info.backend_pid, "start": began, "id": self.run.pk}
            if not sql.execute(BEGIN, values):
                raise Over
            jobs.report_progress(self.claim, 0)

    def _execute(self, raw: "psycopg.Connection[Any]", target: Target) -> None:
        statement = self._statement(raw, target)
        self.lines.append(statement)
        try:
            cursor = raw.execute(statement)  # of a constant and a quoted name
            if cursor.description is not None:
                row = cursor.fetchone()
                self.result = json.loads(row[0]) if row else {}
                self.lines += [f"{name}: {value}" for name, value in self.result.items()]
        except psycopg.Error as error:
            self._refused(error, target)
        self._name_left_over(target)

    def _statement(self, raw: "psycopg.Connection[Any]", target: Target) -> str:
        if self.kind != MaintenanceKind.EXACT_BLOAT:
            return self.rule.statement.format(target.quoted)
        function = "pgstatindex" if target.relkind == "i" else "pgstattuple"
        row = raw.execute(
            "SELECT n.nspname FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace"
            " WHERE e.extname = 'pgstattuple'"
        ).fetchone()
        if row is None:
            raise Failed(
                "The extension pgstattuple is not in this database. As superuser: "
                "CREATE EXTENSION pgstattuple; "
                f"GRANT pg_stat_scan_tables TO {_quoted(raw.info.user)};"
            )
        name = compose.Identifier(row[0], function).as_string()
        literal = compose.Literal(target.quoted).as_string(raw)
        return self.rule.statement.format(function=name, target=literal)

    def _refused(self, error: psycopg.Error, target: Target) -> NoReturn:
        """Turn what PostgreSQL refused into words. Raises what the watch found, if it stopped the statement."""
        self._name_left_over(target)
        self._raise_if_over()
        said = error.diag.message_primary or str(error)
        self.lines.append(f"ERROR: {said}")
        if isinstance(error, psycopg.errors.LockNotAvailable):
            raise Failed(
                f"It waited {self.rule.lock_seconds} s for a lock and gave up, so that nobody queues"
                " behind it. The page Connections and blocking shows who holds it; then ask again."
            ) from error
        if isinstance(error, psycopg.errors.QueryCanceled):
            raise Failed(
                f"It was cancelled, or took longer than the {self.seconds} s that a job has. If it is too"
                f" big for a job, run it in psql: {self.lines[0]};"
            ) from error
        if isinstance(error, psycopg.OperationalError):
            raise error  # the server went away: the next attempt may succeed
        raise Failed(said) from error

    def _name_left_over(self, target: Target) -> None:
        if self.kind not in (MaintenanceKind.REINDEX_INDEX, MaintenanceKind.REINDEX_TABLE):
            return
        for drop in targets.left_over(target):
            self.lines.append(f"An INVALID index is left, which only costs. Remove it: {drop}")

    def _remedy(self, target: Target) -> str:
        """Return the statement that gives the right that a skipped VACUUM or ANALYZE lacked, or nothing."""
        if not any("skipping" in each for each in self.warnings) or target.relkind == "i":
            return ""
        user = _quoted(self.user)
        if self.server_version >= 170_000:
            return f"As its owner: GRANT MAINTAIN ON {target.quoted} TO {user};"
        return f"Only its owner may do this: ALTER TABLE {target.quoted} OWNER TO {user};"

    # Its session

    @property
    def seconds(self) -> int:
        """Return how long the statement may take."""
        return max(1, self.claim.soft_limit - SPARE_SECONDS)

    @contextmanager
    def _session(self) -> Iterator["psycopg.Connection[Any]"]:
        """Open a connection of its own that commits by itself, with this work's timeouts and ears."""
        own = connections["direct"].copy(alias="default")  # the same database, past PgBouncer
        try:
            own.ensure_connection()
            raw: psycopg.Connection[Any] = own.connection
            raw.add_notice_handler(self._hear)
            wanted = {
                "application_name": application_name(self.run.pk),
                "statement_timeout": f"{self.seconds}s",
                "lock_timeout": f"{self.rule.lock_seconds}s",
                "client_min_messages": "notice",
            }
            for name, value in wanted.items():
                raw.execute("SELECT set_config(%s, %s, false)", [name, value])
            row = raw.execute(
                "SELECT current_user::text, current_setting('application_name')"
            ).fetchone()
            if row is None or row[1] != wanted["application_name"]:
                raise Failed(
                    "This connection forgets its settings between statements, as behind PgBouncer in"
                    " transaction mode: DATABASE_DIRECT_URL must be PostgreSQL's own address."
                )
            self.raw = raw
            self.user, self.server_version = row[0], raw.info.server_version
            yield raw
        finally:
            self.raw = None
            own.close()

    def _hear(self, said: "psycopg.errors.Diagnostic") -> None:
        """Keep what PostgreSQL says; VACUUM without the right warns, skips the table, and calls that success."""
        text = said.message_primary or ""
        level = said.severity_nonlocalized or said.severity or ""
        self.lines.append("\n".join(filter(None, (f"{level}: {text}", said.message_detail))))
        if level == "WARNING":
            self.warnings.append(text)

    # Its watch: a thread that shows the progress, and stops the statement when it is not wanted any more

    @contextmanager
    def _watched(self) -> Iterator[None]:
        thread = threading.Thread(
            target=self._watch, name=f"maintenance-{self.run.pk}", daemon=True
        )
        thread.start()
        try:
            yield
        finally:
            self.ended.set()
            thread.join()

    def _watch(self) -> None:
        try:
            while not self.ended.wait(LOOK_EVERY):
                if self.over is None:
                    self._look()
                if self.over is not None:
                    self._stop()
        finally:
            connections.close_all()

    def _look(self) -> None:
        try:
            with transaction.atomic():
                self._show()
        except (Over, LeaseLost) as over:
            self.over = over
        except Error:  # the connection broke: the fence still guards what is written
            log.warning("maintenance.watch_failed", exc_info=True)
            connections.close_all()

    def _stop(self) -> None:
        """Ask the server to cancel the statement; asked again until it has ended."""
        assert self.raw is not None
        try:
            self.raw.cancel_safe(timeout=STOP_SECONDS)
        except psycopg.Error:
            log.warning("maintenance.not_cancelled", exc_info=True)

    def _show(self) -> None:
        assert self.raw is not None
        found = sql.fetch_one(PROGRESS, [self.raw.info.backend_pid])
        percent, phase = (min(99, int(found[0] or 0)), found[1]) if found else (0, "")
        values = {"percent": percent, "phase": phase[:60], "log": self._text(), "id": self.run.pk}
        if not sql.execute(SHOW, values):
            raise Over
        jobs.report_progress(self.claim, percent)

    def _raise_if_over(self) -> None:
        if self.over is not None:
            raise self.over

    # Its end

    def end(self, state: str, error: str = "") -> None:
        """Write how it ended, under the job's fence. Raises LeaseLost; a run cancelled meanwhile stays so."""
        values = {
            "state": state,
            "error": logs.scrub(error)[:ERROR_MAX],
            "log": self._text(),
            "result": None if self.result is None else Jsonb(self.result),
            "id": self.run.pk,
        }
        try:
            with transaction.atomic():
                sql.execute(END, values)
                jobs.report_progress(self.claim, 100 if state == "done" else 0)
        except LeaseLost:
            self.keep_log()
            raise
        log.info("maintenance.ended", extra={"run_id": self.run.pk, "state": state})

    def keep_log(self) -> None:
        """Keep what was said until it was cancelled: it may name an index that is left over."""
        sql.execute(KEEP_LOG, [self._text(), self.run.pk])

    def _text(self) -> str:
        return "\n".join(self.lines)[-LOG_MAX:]


def _quoted(name: str) -> str:
    return compose.Identifier(name).as_string()
