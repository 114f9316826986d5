"""The plan of each of the 27 indexes: the statement that its screen sends, as PostgreSQL executes it."""

from bench.harness.findings import Bench, Findings
from bench.harness.results import Result, Rule
from bench.scale.screens import THE_27, LostIndex, Use, observed, proof

TARGET = 0


def measure(bench: Bench) -> Findings:
    """Run every screen in the big world, which is rolled back, and find its index in the plans."""
    bench.big.enter()
    bench.say("indexes: the plan of each")
    lost, shown = [], []
    for use in sorted(THE_27, key=lambda use: use.number):
        try:
            statement = proof(use, observed(use, text=True))
            shown.append(_plan(use, f"{statement.sql}\n\n{statement.text}"))
        except LostIndex as error:
            lost.append(use.index)
            shown.append(_plan(use, f"not used: {error}"))
    result = Result(
        target=TARGET,
        name=f"indexes of {len(THE_27)} that the screen which needs them does not use",
        unit="indexes",
        ours=len(lost),
        goal=0,
        rule=Rule.OURS_AT_MOST,
        note=", ".join(lost),
    )
    title = f"### The plans of the indexes, {bench.big.orders:,} orders"
    return Findings([result], appendix="\n\n".join([title, *shown]))


def _plan(use: Use, text: str) -> str:
    summary = f"{use.number}. <code>{use.index}</code>: {use.screen}"
    return f"<details><summary>{summary}</summary>\n\n```\n{text}\n```\n\n</details>"
