from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser
from django.db import connections

TIMEOUTS = {
    "statement_timeout": "DB_STATEMENT_TIMEOUT",
    "lock_timeout": "DB_LOCK_TIMEOUT",
    "idle_in_transaction_session_timeout": "DB_IDLE_IN_TRANSACTION_TIMEOUT",
}


class Command(BaseCommand):
    help = (
        "Give the database's role the timeouts of DB_STATEMENT_TIMEOUT, DB_LOCK_TIMEOUT and"
        " DB_IDLE_IN_TRANSACTION_TIMEOUT, in this database: behind PgBouncer no connection can ask for them."
        " Sessions that begin afterwards have them; tell PgBouncer to RECONNECT."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--dry-run", action="store_true", help="Print the statements and change nothing."
        )

    def handle(self, *args: Any, dry_run: bool, **options: Any) -> None:
        with connections["direct"].cursor() as cursor:
            cursor.execute(
                "SELECT format('ALTER ROLE %I IN DATABASE %I SET ', current_user, current_database())"
            )
            prefix = cursor.fetchone()[0]
            wanted = {name: f"{getattr(settings, key)}ms" for name, key in TIMEOUTS.items()}
            # Django asks each new session for UTC; of a role that has it, it need not.
            for name, value in {**wanted, "timezone": "UTC"}.items():
                statement = f"{prefix}{name} = '{value}'"
                if not dry_run:
                    cursor.execute(statement)
                self.stdout.write(f"{statement};")
