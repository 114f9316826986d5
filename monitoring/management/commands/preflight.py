import json
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from monitoring.preflight import LINES, Verdict, walk


class Command(BaseCommand):
    help = (
        "Walk the production checklist: pass or fail for each line, and for each failure what is wrong and"
        " what mends it. Changes nothing. Exit code 1 when a line fails."
    )
    requires_system_checks = []  # they are a line of it

    def add_arguments(self, parser: CommandParser) -> None:
        names = [line.name for line in LINES]
        parser.add_argument("--only", action="append", choices=names, metavar="NAME")
        parser.add_argument("--skip", action="append", choices=names, metavar="NAME", default=[])
        parser.add_argument("--list", action="store_true", help="only name the lines")
        parser.add_argument("--json", action="store_true", help="print the verdicts as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        lines = [
            line
            for line in LINES
            if line.name in (options["only"] or [line.name]) and line.name not in options["skip"]
        ]
        if options["list"]:
            width = max(len(line.name) for line in LINES)
            self.stdout.write("\n".join(f"{line.name:{width}}  {line.title}" for line in lines))
            return
        verdicts = []
        for verdict in walk(lines):
            verdicts.append(verdict)
            if not options["json"]:
                self.stdout.write(_said(verdict))
        if options["json"]:
            self.stdout.write(_as_json(verdicts))
        failed = sum(not verdict.passes for verdict in verdicts)
        if failed:
            raise CommandError(f"{failed} of {len(verdicts)} lines fail")
        if not options["json"]:
            self.stdout.write(f"{len(verdicts)} lines pass")


def _said(verdict: Verdict) -> str:
    said = [f"{'pass' if verdict.passes else 'FAIL'}  {verdict.line.title}"]
    for fault in verdict.faults:
        said.append(f"      {fault.said}")
        said += [f"        {line}" for line in fault.remedy.split("\n")]
    return "\n".join(said)


def _as_json(verdicts: list[Verdict]) -> str:
    return json.dumps(
        [
            {
                "name": verdict.line.name,
                "title": verdict.line.title,
                "passes": verdict.passes,
                "faults": [asdict(fault) for fault in verdict.faults],
            }
            for verdict in verdicts
        ],
        indent=2,
        ensure_ascii=False,
    )
