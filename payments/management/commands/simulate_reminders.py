"""`manage.py simulate_reminders`: a year of reminders for a made-up trade, and whether any rule was broken."""

import json
from argparse import ArgumentParser
from collections import Counter
from datetime import date
from pathlib import Path
from typing import IO, Any, cast

from django.core.management import BaseCommand, CommandError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from payments.dunning import Level
from payments.simulation import Outcome, simulate

WIDTH = 110  # characters, of a chart and of an output that is no terminal
SHADES = ("green3", "chartreuse3", "gold3", "dark_orange", "red1")  # from few to many
MOST_SHOWN = 20  # violations
RULES = (
    "never about what is paid, disputed or promised",
    "never two a day to one shop, and three days between",
    "never from 19 to 9 o'clock, never on a Saturday",
    "each (invoice, level) once, and none forgotten",
)
# An SVG of its own: rich's frame loads a font from a server.
SVG = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}">
<style>
.{unique_id}-matrix {{ font-family: monospace; font-size: {char_height}px;
line-height: {line_height}px; }}
{styles}
</style>
<defs>{lines}</defs>
<rect width="100%" height="100%" fill="#292929"/>
<g transform="translate({terminal_x}, {terminal_y})">
{backgrounds}<g class="{unique_id}-matrix">{matrix}</g></g>
</svg>
"""


class Command(BaseCommand):
    help = (
        "Play a made-up trade through the planner of reminders, day by day, and show the calendar. Reads"
        " and writes no database. Exit code 1 when a rule was broken."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--days", type=int, default=365, help="length (default: %(default)s)")
        parser.add_argument(
            "--retailers", type=int, default=200, help="shops (default: %(default)s)"
        )
        parser.add_argument(
            "--seed", type=int, default=7, help="the same seed makes the same trade"
        )
        parser.add_argument(
            "--from",
            dest="begin",
            type=date.fromisoformat,
            default=date(2026, 7, 17),
            help="first day, YYYY-MM-DD (default: %(default)s)",
        )
        parser.add_argument(
            "--json", action="store_true", help="figures as JSON on standard output"
        )
        parser.add_argument("--svg", type=Path, help="write the calendar as a chart to this file")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["days"] < 1 or options["retailers"] < 1:
            raise CommandError("--days and --retailers are at least 1.", returncode=2)
        outcome = self._simulate(options)
        if options["json"]:
            self.stdout.write(json.dumps(figures(outcome), indent=1))
        else:
            show(outcome, Console(file=cast("IO[str]", self.stdout), width=WIDTH))
        if options["svg"]:
            write_svg(outcome, options["svg"])
        judge(outcome)

    def _simulate(self, options: dict[str, Any]) -> Outcome:
        console = Console(file=cast("IO[str]", self.stderr))
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        with Progress(*columns, TimeElapsedColumn(), console=console, transient=True) as bar:
            task = bar.add_task("days", total=options["days"])
            return simulate(
                begin=options["begin"],
                days=options["days"],
                shops=options["retailers"],
                seed=options["seed"],
                progress=lambda day: bar.update(task, completed=day),
            )


def judge(outcome: Outcome) -> None:
    """Raise CommandError, which is exit code 1, when a rule was broken."""
    if outcome.violations:
        raise CommandError(f"Rules were broken {len(outcome.violations)} times.")


def figures(outcome: Outcome) -> dict[str, Any]:
    """Return the outcome for machines."""
    hours = Counter(message.at.hour for message in outcome.messages)
    weekdays = Counter(f"{message.at:%A}" for message in outcome.messages)
    return {
        "from": outcome.begin.isoformat(),
        "days": outcome.days,
        "seed": outcome.seed,
        "retailers": outcome.shops,
        "invoices": outcome.invoices,
        "messages": len(outcome.messages),
        "reminders": sum(1 for _ in outcome.lines()),
        "tasks": len(outcome.tasks),
        "superseded": outcome.superseded,
        "dropped": outcome.dropped,
        "by_level": {level.name: number for level, number in outcome.by_level().items()},
        "by_hour": {str(hour): hours[hour] for hour in sorted(hours)},
        "by_weekday": dict(weekdays),
        "messages_per_retailer": {str(k): v for k, v in outcome.messages_per_shop().items()},
        "calendar": {
            day.isoformat(): {level.name: number for level, number in sorted(levels.items())}
            for day, levels in sorted(outcome.by_day().items())
        },
        "violations": outcome.violations,
    }


def show(outcome: Outcome, console: Console) -> None:
    """Print calendar, totals and the rules."""
    for table in calendar(outcome):
        console.print(table)
    console.print(totals(outcome), spread(outcome))
    reminders = sum(1 for _ in outcome.lines())
    console.print(
        f"{outcome.invoices} invoices of {outcome.shops} shops: {len(outcome.messages)} messages with"
        f" {reminders} reminders, {len(outcome.tasks)} tasks, {outcome.superseded} levels passed over,"
        f" {outcome.dropped} messages dropped before they went."
    )
    for rule in RULES:
        console.print(f"[{'red' if outcome.violations else 'green'}]•[/] {rule}")
    for fault in outcome.violations[:MOST_SHOWN]:
        console.print(f"[red]{fault}[/]")
    console.print(f"{len(outcome.violations)} violations")


def calendar(outcome: Outcome) -> list[Table]:
    """Return a table per month: levels down, days across, the number of reminders and tasks in each."""
    by_day = outcome.by_day()
    most = max((number for levels in by_day.values() for number in levels.values()), default=1)
    months: dict[tuple[int, int], list[date]] = {}
    for offset in range(outcome.days):
        day = date.fromordinal(outcome.begin.toordinal() + offset)
        months.setdefault((day.year, day.month), []).append(day)
    return [_month(days, by_day, most) for days in months.values()]


def _month(days: list[date], by_day: dict[date, dict[Level, int]], most: int) -> Table:
    table = Table(title=f"{days[0]:%B %Y}", title_justify="left", box=None, padding=(0, 0, 0, 1))
    table.add_column("")
    for day in days:
        table.add_column(
            Text(f"{day.day}", style="dim" if day.isoweekday() == 6 else ""),
            justify="right",
            min_width=2,
            no_wrap=True,
        )
    for level in Level:
        counts = [by_day.get(day, {}).get(level, 0) for day in days]
        cells = [_cell(number, most) for number in counts]
        table.add_row(Text(f"{level:+3d} {level.name.lower()}", no_wrap=True), *cells)
    return table


def _cell(number: int, most: int) -> Text:
    if not number:
        return Text("·", style="grey50")
    shade = SHADES[(number - 1) * len(SHADES) // most]
    return Text(str(number), style=f"bold {shade}")


def totals(outcome: Outcome) -> Table:
    """Return how often each level was sent or became a task."""
    table = Table(title="By level", title_justify="left", box=None)
    table.add_column("level")
    table.add_column("", justify="right")
    for level, number in outcome.by_level().items():
        kind = "messages" if level <= Level.HOLD else "tasks"
        table.add_row(f"{level:+3d} {level.name.lower()}", f"{number} {kind}")
    return table


def spread(outcome: Outcome) -> Table:
    """Return how many shops got how many messages."""
    table = Table(title="Messages to one shop", title_justify="left", box=None)
    table.add_column("messages", justify="right")
    table.add_column("shops", justify="right")
    counted = outcome.messages_per_shop()
    for low in range(0, max(counted) + 1, 10):
        shops = sum(n for messages, n in counted.items() if low <= messages < low + 10)
        if shops:
            table.add_row(f"{low}–{low + 9}", str(shops))
    return table


def write_svg(outcome: Outcome, path: Path) -> None:
    """Write the calendar as an SVG file that loads nothing from elsewhere."""
    with path.with_suffix(".tmp").open("w") as sink:
        console = Console(file=sink, record=True, width=WIDTH)
        show(outcome, console)
    path.with_suffix(".tmp").unlink()
    path.write_text(console.export_svg(title="", code_format=SVG))
