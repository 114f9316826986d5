from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from credit.models import CreditLedger
from monitoring.invariants import altered_entries


class Command(BaseCommand):
    help = "Find and locate every altered row of the ledger. Exit code 1 when there is one."
    requires_system_checks = []  # it must run when other things do not

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--account", type=int, help="only this credit account")

    def handle(self, *args: Any, **options: Any) -> None:
        account_id = options["account"]
        altered = altered_entries(account_id)
        for entry in altered:
            self.stdout.write(
                f"account {entry.account_id}, sequence {entry.sequence},"
                f" {entry.entry_number or 'no entry'}: {entry.fault}"
            )
        if altered:
            raise CommandError(f"the ledger was altered in {len(altered)} places")
        entries = CreditLedger.objects.all()
        if account_id is not None:
            entries = entries.filter(account_id=account_id)
        self.stdout.write(f"{entries.count():,} entries, none altered")
