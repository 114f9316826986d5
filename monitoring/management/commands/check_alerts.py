"""Holds what is measured against the rules now, also where no worker runs."""

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from khaacho.enums import Severity
from monitoring.alerting import notices, rules

EXIT = {Severity.INFO: 0, Severity.WARNING: 1, Severity.CRITICAL: 2}
UNREAD = 3


class Command(BaseCommand):
    help = (
        "Check every alert rule now: raise alerts, and queue what people are to be told. Exit code 0: none"
        " is broken; 1: a warning; 2: a critical one; 3: something could not be read."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="only say what would be raised")

    def handle(self, *args: Any, **options: Any) -> None:
        found = rules.look() if options["dry_run"] else rules.check()
        for finding in found:
            if finding.error:
                self.stdout.write(f"unread    {finding.measure.label}: {finding.error}")
            for reading, rule in finding.broken:
                self.stdout.write(
                    f"{rule.severity:9} {finding.measure.label}: {reading.says}"
                    f" ({reading.value:.4g}, threshold {rule.threshold:.4g})"
                )
        broken = [rule for finding in found for _, rule in finding.broken]
        self.stdout.write(f"{len(found)} measures read, {len(broken)} alerts")
        if not options["dry_run"]:
            self.stdout.write(f"{notices.queue_due()} notices queued")
        codes = [EXIT[Severity(rule.severity)] for rule in broken]
        codes += [UNREAD for finding in found if finding.error]
        if max(codes, default=0):
            raise SystemExit(max(codes))
