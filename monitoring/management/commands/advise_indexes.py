import json
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from monitoring.advice import advisor, keeping, wording
from monitoring.advice.advisor import Advice, Suggestion


class Command(BaseCommand):
    help = (
        "Search for indexes that would make the costliest statements cheaper, each tried by HypoPG, and keep"
        " what is found for the admin. Reads plans and statistics only; takes five seconds at most."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--limit", type=int, default=advisor.LIMIT, help="statements looked at")
        parser.add_argument("--format", choices=("text", "json"), default="text")
        parser.add_argument("--dry-run", action="store_true", help="keep nothing")

    def handle(self, *args: Any, **options: Any) -> None:
        advice = advisor.advise(options["limit"])
        if not options["dry_run"]:
            keeping.store(advice)
        as_text = _as_json if options["format"] == "json" else _as_text
        self.stdout.write(as_text(advice))


def _as_json(advice: Advice) -> str:
    found = [
        asdict(each) | {"wording": asdict(wording.worded(each.candidate, each.parts))}
        for each in advice.suggestions
    ]
    return json.dumps(asdict(advice) | {"suggestions": found}, indent=2, ensure_ascii=False)


def _as_text(advice: Advice) -> str:
    summary = (
        f"{advice.planned} statements planned, {len(advice.skipped)} without a plan,"
        f" {advice.candidates} indexes tried in {advice.seconds:.1f} s"
    )
    lines = [summary]
    if not advice.is_complete:
        lines.append("The time or the number of trials ran out: there may be more to find.")
    if not advice.is_verified:
        lines.append("HypoPG is not installed: these are hints, none was tried.")
    for suggestion in advice.suggestions:
        lines += _suggested(suggestion)
    for hint in advice.hints:
        columns = f" ({', '.join(hint.columns)})" if hint.columns else ""
        why = (
            f"foreign key {hint.constraint} to {hint.references}"
            if hint.constraint
            else "read whole"
        )
        lines.append(f"HINT: {'.'.join(hint.table)}{columns}: {why}, {hint.rows:,} rows")
    if not advice.suggestions and not advice.hints:
        lines.append("No index is missing.")
    return "\n".join(lines)


def _suggested(suggestion: Suggestion) -> list[str]:
    said = wording.worded(suggestion.candidate, suggestion.parts)
    share = suggestion.saved_ms / max(suggestion.workload_ms, 1e-9)
    figures = (
        f"  {share:.0%} of the time measured, about {suggestion.size / 1e6:.1f} MB,"
        f" {suggestion.entries_written:,} entries written so far"
    )
    lines = ["", said.line or said.sql, figures]
    if suggestion.makes_redundant:
        lines.append(f"  makes redundant: {', '.join(suggestion.makes_redundant)}")
    for each in suggestion.helped:
        text = " ".join(each.statement.text.split())[:90]
        lines.append(f"  {each.cost_before:,.0f} -> {each.cost_after:,.0f}  {text}")
    return lines
