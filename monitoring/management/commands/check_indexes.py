import json
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.core.serializers.json import DjangoJSONEncoder

from monitoring import indexes
from monitoring.indexes import Finding, Report


class Command(BaseCommand):
    help = (
        "Compare the database's indexes with the models'. Exit code 1 when one is missing, invalid, defined"
        " otherwise, or redundant; indexes that are unused or undeclared are only named. With -v0 only faults"
        " are printed."
    )
    requires_system_checks = []  # it must run when other things do not

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="print the report as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        report = indexes.report()
        if options["json"]:
            self.stdout.write(_as_json(report))
        else:
            self.stdout.write(_as_table(report) if options["verbosity"] else _faults(report))
        faults = sum(finding.is_fault for finding in report.findings)
        if faults:
            raise CommandError(f"{faults} of {len(report.indexes)} indexes are at fault")


def _faults(report: Report) -> str:
    return "\n".join(_line(finding) for finding in report.findings if finding.is_fault)


def _line(finding: Finding) -> str:
    return f"{finding.kind.upper()}: {finding.table}.{finding.index}: {finding.detail}"


def _as_json(report: Report) -> str:
    return json.dumps(asdict(report), indent=2, ensure_ascii=False, cls=DjangoJSONEncoder)


def _as_table(report: Report) -> str:
    width = max((len(index.name) for index in report.indexes), default=0)
    lines = [f"{'index':{width}}  {'size':>10}  {'scans':>12}  last scan"]
    lines += [
        f"{index.name:{width}}  {_size(index.size):>10}  {index.scans:>12,}  {index.last_scan or ''}"
        for index in report.indexes
    ]
    lines += [_line(finding) for finding in report.findings]
    since = report.counted_since or "the database was made"
    total = sum(index.size for index in report.indexes)
    lines.append(f"{len(report.indexes)} indexes, {_size(total)}; scans are counted since {since}")
    return "\n".join(lines)


def _size(size: int) -> str:
    return f"{size / 1024:,.0f} kB"
