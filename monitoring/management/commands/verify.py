import json
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from monitoring.invariants import INVARIANTS, Result, run_invariants


class Command(BaseCommand):
    help = "Check every invariant of the trade. Exit code 1 when one is violated."
    requires_system_checks = []  # it must run when other things do not

    def add_arguments(self, parser: CommandParser) -> None:
        names = [i.name for i in INVARIANTS]
        parser.add_argument("--only", action="append", default=[], choices=names, metavar="NAME")
        parser.add_argument("--json", action="store_true", help="print the results as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        results = run_invariants(options["only"])
        self.stdout.write(_as_json(results) if options["json"] else _as_table(results))
        violated = sum(r.violations > 0 for r in results)
        if violated:
            raise CommandError(f"{violated} of {len(results)} invariants violated")


def _as_json(results: list[Result]) -> str:
    return json.dumps(
        [
            {
                "name": r.invariant.name,
                "rule": r.invariant.rule,
                "entity": r.invariant.entity,
                "checked": r.checked,
                "violations": r.violations,
                "accounts": r.account_ids,
                "examples": [asdict(o) for o in r.examples],
                "milliseconds": round(r.milliseconds, 1),
            }
            for r in results
        ],
        indent=2,
        ensure_ascii=False,
    )


def _as_table(results: list[Result]) -> str:
    width = max(len(r.invariant.name) for r in results)
    lines = [f"{'invariant':{width}}  {'checked':>10}  {'violations':>10}  {'ms':>8}"]
    for r in results:
        lines.append(
            f"{r.invariant.name:{width}}  {r.checked:>10,}  {r.violations:>10,}  {r.milliseconds:>8.1f}"
        )
        lines += [f"    {r.invariant.entity} {o.entity_id}: {o.fault}" for o in r.examples]
    total = sum(r.milliseconds for r in results)
    lines.append(f"{len(results)} invariants in {total / 1000:.2f} s")
    return "\n".join(lines)
