"""docs/performance.md: the results as tables and plots, with machine, date and commit."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from bench.harness.findings import Findings, Table
from bench.harness.results import Result, Rule, Run, shown

TITLES = {
    0: "Indexes",
    1: "Order list",
    2: "Order creation",
    3: "Product search and catalogue",
    4: "Statement, ledger, ageing",
    5: "Admin",
    6: "Jobs and queues",
    8: "Memory",
    10: "Monitoring",
}
BEGIN, END = "<!-- measured: `make bench` writes from here -->", "<!-- to here -->"
PREFACE = f"# Performance\n\n{BEGIN}\n{END}\n"


def write(path: Path, run: Run, findings: Sequence[Findings]) -> None:
    """Replace what was measured in the document, which is made if need be, and its plots beside it."""
    images = path.parent / "images" / "performance"
    images.mkdir(parents=True, exist_ok=True)
    for found in findings:
        for name, svg in found.plots.items():
            (images / f"{name}.svg").write_text(svg)
    before = path.read_text() if path.exists() else PREFACE
    head, _, rest = before.partition(BEGIN)
    _, _, tail = rest.partition(END)
    path.write_text(f"{head}{BEGIN}\n\n{measured(run, findings)}\n{END}{tail}")


def measured(run: Run, findings: Sequence[Findings]) -> str:
    """Return what was measured as Markdown."""
    results = [result for found in findings for result in found.results]
    sizes = ", ".join(f"{size:,}" for size in run.sizes)
    parts = [
        f"{run.machine}; {run.date}; commit `{run.commit}`; trades of {sizes} orders.",
        _summary(results),
        *(_chapter(number, results) for number in sorted({r.target for r in results})),
    ]
    for found in findings:
        parts += [f"![{name}](images/performance/{name}.svg)" for name in found.plots]
        parts += [table(t) for t in found.tables]
    parts += [found.appendix for found in findings if found.appendix]
    return "\n\n".join(parts) + "\n"


def _summary(results: Sequence[Result]) -> str:
    missed = [r for r in results if r.met is False]
    aimed = [r for r in results if r.met is not None]
    text = f"**{len(aimed) - len(missed)} of {len(aimed)} goals are met.**"
    if missed:
        text += " Not met:\n\n" + "\n".join(f"- {r.target}. {r.name}: {bound(r)}" for r in missed)
    return text


def bound(result: Result) -> str:
    """Say the figure and its goal in words."""
    if result.rule in {Rule.RATIO_AT_MOST, Rule.RATIO_AT_LEAST}:
        return f"{result.rule} {shown(result.goal)}, is {shown(result.ratio)}"
    return f"{result.rule} {shown(result.goal)} {result.unit}, is {shown(result.ours)}"


def _chapter(number: int, results: Sequence[Result]) -> str:
    rows = [
        [
            r.name,
            r.unit,
            shown(r.reference),
            shown(r.ours),
            shown(r.ratio),
            _goal(r),
            r.verdict or "–",
        ]
        for r in results
        if r.target == number
    ]
    header = ["", "unit", "reference", "ours", "ours / reference", "goal", ""]
    title = f"{number}. {TITLES.get(number, 'Others')}"
    notes = [f"- {r.name}: {r.note}." for r in results if r.target == number and r.note]
    return table(Table(title, header, rows, "\n".join(notes)))


def _goal(result: Result) -> str:
    if result.rule == Rule.FOR_INFORMATION:
        return "–"
    sign = "≥" if result.rule == Rule.RATIO_AT_LEAST else "≤"
    what = "" if result.rule == Rule.OURS_AT_MOST else "ratio "
    return f"{what}{sign} {shown(result.goal)}"


def table(given: Table) -> str:
    """Return a table as Markdown, under its title."""
    lines = [_line(given.header), _line(["---"] * len(given.header))]
    lines += [_line(row) for row in given.rows]
    note = f"\n\n{given.note}" if given.note else ""
    return f"### {given.title}\n\n" + "\n".join(lines) + note


def _line(cells: Sequence[object]) -> str:
    return (
        "| " + " | ".join(str(cell).replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"
    )


def printed(results: Sequence[Result]) -> list[Mapping[str, str]]:
    """Return the lines of the table for the terminal."""
    return [
        {
            "": f"{r.target}",
            "what": f"{r.name}, {r.unit}",
            "reference": shown(r.reference),
            "ours": shown(r.ours),
            "ratio": shown(r.ratio),
            "goal": _goal(r),
            "verdict": r.verdict,
        }
        for r in results
    ]
