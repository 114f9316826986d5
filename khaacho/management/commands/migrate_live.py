from typing import Any

from django.conf import settings
from django.core.management.base import CommandError, CommandParser
from django.core.management.commands import migrate
from django.db import DatabaseError, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations import Migration

from khaacho.live_migrations import LockNotGot, Patience, gives_way, what_stands

NOT_GOT = 3  # exit code
TIMED_OUT = "57014"  # SQLSTATE of query_canceled


class Command(migrate.Command):
    help = (
        "Migrate while the site works. Like migrate, but a statement that wants a table for itself waits for it"
        " --lock-timeout at most, gives way and comes again, for --patience in all; indexes that are built"
        " CONCURRENTLY take their time, and what a failed build left is removed first. Exit code 3: a lock was"
        " not got; try again later. 1: a migration failed. Either way its message says what stands."
    )
    current: Migration | None = None

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--lock-timeout",
            type=int,
            default=500,
            metavar="MS",
            help="that a statement waits for a lock, and the site behind it (500)",
        )
        parser.add_argument(
            "--statement-timeout",
            type=int,
            default=2000,
            metavar="MS",
            help="that a statement works under its lock (2000)",
        )
        parser.add_argument(
            "--patience",
            type=float,
            default=600.0,
            metavar="SECONDS",
            help="for all tries together (600)",
        )
        parser.add_argument(
            "--dry-run", action="store_true", dest="plan", help="the same as --plan"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if settings.DB_PGBOUNCER:
            raise CommandError(
                "DATABASE_URL leads to PgBouncer, where a session's limits do not hold: run this with"
                " DATABASE_URL=$DATABASE_DIRECT_URL and DB_PGBOUNCER=false."
            )
        if options["lock_timeout"] < 1 or options["statement_timeout"] < 1:
            raise CommandError("A limit of 0 ms is none: give at least 1.")
        options |= {"interactive": False, "verbosity": 0}
        connection = connections[options["database"]]
        patience = Patience(
            options["lock_timeout"], options["statement_timeout"], options["patience"], self._say
        )
        try:
            with patience.governing(connection):
                while not self._migrated(connection, patience, *args, **options):
                    pass
        except LockNotGot as error:
            raise self._not_got(patience, error) from error
        if not (options["plan"] or options["check_unapplied"]):
            self._say(f"the schema is as this release wants it; gave way {patience.gave_way} times")

    def _migrated(
        self, connection: BaseDatabaseWrapper, patience: Patience, /, *args: Any, **options: Any
    ) -> bool:
        """Migrate; return False after the pause when a whole migration gave way. Raises LockNotGot."""
        try:
            super().handle(*args, **options)
        except DatabaseError as error:
            if not (gives_way(error) and self.current and self.current.atomic):
                raise self._failed(error) from error
            patience.wait(connection, str(self.current), error)
            return False
        return True

    def migration_progress_callback(
        self, action: str, migration: Migration | None = None, fake: bool = False
    ) -> None:
        if action in {"apply_start", "unapply_start"}:
            self.current = migration
        elif action in {"apply_success", "unapply_success"}:
            self._say(f"{migration} {'applied' if action == 'apply_success' else 'taken back'}")

    def _say(self, text: str) -> None:
        self.stdout.write(text)
        self.stdout.flush()

    def _not_got(self, patience: Patience, error: LockNotGot) -> CommandError:
        return CommandError(
            f"{error} did not get its lock within {patience.seconds:g} s, {patience.gave_way} tries."
            f" {what_stands(self.current)}. The same command goes on from there: once the transaction"
            " named above has ended, or at a quieter hour.",
            returncode=NOT_GOT,
        )

    def _failed(self, error: DatabaseError) -> CommandError:
        said = str(error).strip().split("\n")[0]
        if getattr(error.__cause__, "sqlstate", None) == TIMED_OUT:
            said += (
                ", which is --statement-timeout: docs/releases.md says how it is written instead"
            )
        return CommandError(
            f"{self.current or 'Reading the schema'} failed: {said}. {what_stands(self.current)}."
        )
