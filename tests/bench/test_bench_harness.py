"""The instruments of the benchmark: turns, goals, plots, the report, pgbench scripts. Nothing is timed."""

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from bench import run
from bench.harness import pgbench, plots, report, results, wire
from bench.harness.findings import Findings, Table
from bench.harness.pgbench import UNMISTAKABLE, Recording
from bench.harness.results import Result, Rule, Run
from bench.harness.rounds import Spread, alternate, percentiles

HERE = Run("a machine", "2026-01-31", "abc123", (10, 1_000))


def result(**given: object) -> Result:
    return Result(**{"target": 1, "name": "x", "unit": "ms", "ours": 1.0, **given})  # type: ignore[arg-type]


def test_competitors_take_turns_and_the_first_round_does_not_count() -> None:
    seen: list[str] = []
    now = iter(range(10_000))
    spread = alternate(
        {"a": lambda: seen.append("a"), "b": lambda: seen.append("b")},
        4,
        size=2,
        clock=lambda: float(next(now)),
    )
    assert "".join(seen) == "aabb" + "aabb" + "bbaa" + "aabb"
    assert spread == {"a": Spread(500, 500, 500), "b": Spread(500, 500, 500)}


def test_a_spread_is_the_median_between_its_quartiles() -> None:
    assert Spread.of([5.0, 1.0, 2.0, 3.0, 100.0]) == Spread(3.0, 2.0, 5.0)
    assert Spread.of([7.0]) == Spread(7.0, 7.0, 7.0)


def test_percentiles_are_durations_that_occurred() -> None:
    assert percentiles([n / 1000 for n in range(1, 101)]) == (51.0, 96.0, 100.0)
    assert percentiles([0.002]) == (2.0, 2.0, 2.0)


@pytest.mark.parametrize(
    ("given", "met"),
    [
        ({"reference": 7.0, "goal": 1 / 7, "rule": Rule.RATIO_AT_MOST}, True),
        ({"reference": 6.9, "goal": 1 / 7, "rule": Rule.RATIO_AT_MOST}, False),
        ({"reference": 3.0, "goal": 1 / 3, "rule": Rule.RATIO_AT_LEAST}, True),
        ({"reference": 3.1, "goal": 1 / 3, "rule": Rule.RATIO_AT_LEAST}, False),
        ({"reference": None, "goal": 1 / 3, "rule": Rule.RATIO_AT_LEAST}, False),
        ({"reference": 0.1, "goal": 1.0, "rule": Rule.OURS_AT_MOST}, True),
        ({"ours": 1.01, "goal": 1.0, "rule": Rule.OURS_AT_MOST}, False),
        ({"reference": 3.0}, None),
    ],
)
def test_a_goal_is_met_or_not(given: dict[str, object], met: bool | None) -> None:
    assert result(**given).met is met


def test_results_are_kept_with_machine_date_and_commit(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    results.write(path, HERE, [result(reference=3.0, goal=0.4, rule=Rule.RATIO_AT_MOST)])
    assert json.loads(path.read_text()) == {
        "machine": "a machine",
        "date": "2026-01-31",
        "commit": "abc123",
        "sizes": [10, 1000],
        "results": [
            {
                "target": 1,
                "name": "x",
                "unit": "ms",
                "reference": 3.0,
                "ours": 1.0,
                "ratio": 0.3333,
                "goal": 0.4,
                "met": True,
                "rule": "ratio at most",
                "note": "",
            }
        ],
    }


def test_plots_are_xml_with_their_words_escaped() -> None:
    line = plots.lines("A & B", "size", "<ms>", {"ours": [(10, 1), (1e6, 2)], "a < b": [(10, 3)]})
    bar = plots.bars("A & B", "ms", {"first": {"ours": 0.0, "reference": 9.0}, "last": {"ours": 4}})
    for text in (line, bar):
        root = ElementTree.fromstring(text)
        assert root.attrib["width"] == "600"
        assert "A & B" in [node.text for node in root.iter()]
    assert line.count("<circle") == 3
    assert bar.count("<rect") == 3 + 2  # bars, and the legend's
    with pytest.raises(ValueError, match="needs a point"):
        plots.lines("nothing", "x", "y", {})


def test_a_line_of_one_point_is_a_plot() -> None:
    assert ElementTree.fromstring(plots.lines("one", "x", "y", {"ours": [(10, 0)]})) is not None


@pytest.mark.parametrize(
    ("value", "top"), [(0, 1), (0.7, 1), (1, 1), (1.1, 2), (230, 250), (26, 50)]
)
def test_an_axis_ends_at_a_round_number(value: float, top: float) -> None:
    assert plots.ceiling(value) == pytest.approx(top)


def test_the_report_says_what_is_not_met_and_keeps_what_people_wrote(tmp_path: Path) -> None:
    path = tmp_path / "performance.md"
    path.write_text(f"# Mine\n\n{report.BEGIN}\nold figures\n{report.END}\n\nMy last words.\n")
    found = Findings(
        [
            result(name="fast", reference=10.0, goal=1 / 7, rule=Rule.RATIO_AT_MOST),
            result(name="slow", ours=9.0, reference=10.0, goal=1 / 7, rule=Rule.RATIO_AT_MOST),
        ],
        [Table("Sizes", ["orders", "a|b"], [["10", "x|y"]])],
        {"curve": plots.bars("Bars", "ms", {"one": {"ours": 1}})},
        "the plans",
    )
    report.write(path, HERE, [found])
    text = path.read_text()
    assert text.startswith("# Mine\n")
    assert text.endswith("My last words.\n")
    assert "old figures" not in text
    assert "**1 of 2 goals are met.** Not met:\n\n- 1. slow: ratio at most 0.1429, is 0.9\n" in text
    assert "a machine; 2026-01-31; commit `abc123`; trades of 10, 1,000 orders." in text
    assert "| fast | ms | 10 | 1 | 0.1 | ratio ≤ 0.1429 | met |" in text
    assert "| 10 | x\\|y |" in text
    assert "the plans" in text
    assert (tmp_path / "images" / "performance" / "curve.svg").read_text().startswith("<svg")

    report.write(path, HERE, [found])
    assert path.read_text() == text


def test_a_pgbench_script_hands_ids_on_and_has_a_key_of_its_own() -> None:
    order = UNMISTAKABLE + 5
    recorded = Recording(
        [
            ("BEGIN", {}),
            ("INSERT INTO k (key)\nVALUES ('bench-1')", {}),
            ("INSERT INTO orders DEFAULT VALUES RETURNING id", {"id": order}),
            (
                f"""INSERT INTO jobs VALUES ('{{"order_id": {order}}}', 'route:{order}', {order}7)""",
                {},
            ),
            ("COMMIT", {}),
        ]
    )
    assert pgbench.script(recorded, "bench-1").splitlines() == [
        r"\set fresh random(1, 9000000000000000)",
        "BEGIN;",
        "INSERT INTO k (key) VALUES ('bench-1:fresh');",
        r"INSERT INTO orders DEFAULT VALUES RETURNING id \gset s2_",
        f"""INSERT INTO jobs VALUES ('{{"order_id": :s2_id}}', 'route: :s2_id', {order}7);""",
        "COMMIT;",
    ]


@pytest.mark.parametrize(
    ("parts", "status", "goes_on"),
    [
        ([b"HTTP/1.1 200 OK\r\nContent-Le", b"ngth: 5\r\n\r\nab", b"cde"], 200, True),
        ([b"HTTP/1.1 409 Conflict\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"], 409, False),
        (
            [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n", b"0\r\n\r\n"],
            200,
            True,
        ),
    ],
)
def test_a_whole_answer_is_read(parts: list[bytes], status: int, goes_on: bool) -> None:
    waiting = list(parts)
    assert wire._answer(lambda size: waiting.pop(0)) == (status, goes_on)
    assert waiting == []


def test_a_server_that_hangs_up_is_an_error() -> None:
    waiting = [b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab", b""]
    with pytest.raises(ConnectionResetError):
        wire._answer(lambda size: waiting.pop(0))


def test_dry_run_says_what_and_how_long(capsys: pytest.CaptureFixture[str]) -> None:
    assert run.main(["--dry-run", "--only", "1,3", "--sizes", "1000000,10000"]) == 0
    text = capsys.readouterr().out
    assert "trades of 10,000, 1,000,000 orders" in text
    assert "measure 1, 3" in text
    assert "Would write nothing." in text
    assert "minutes" in text


@pytest.mark.parametrize("line", [["--only", "1,7"], ["--sizes", "0"], ["--requests", "-1"]])
def test_refuses_what_it_does_not_know(line: list[str]) -> None:
    with pytest.raises(SystemExit):
        run.main([*line, "--dry-run"])
