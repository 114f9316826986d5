"""The trading day with Locust: its hours, its figures, and a very small one against a real site."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from bench.load_day import __main__ as command_line
from bench.load_day import hours, report
from bench.load_day.figures import Run, Step, Times, knee, measure
from bench.trade.play import ledger
from orders.models import Order
from payments.models import Payment
from tests.bench.conftest import write_data
from tests.processes import ROOT, environment, free_port, process, wait_for


def test_a_day_has_its_orders_in_its_hours_and_two_peaks() -> None:
    moments = hours.moments(10_000, 10.0, seed=7)

    assert len(moments) == 10_000
    assert moments == sorted(moments)
    assert 0 <= moments[0] < moments[-1] <= 36_000
    counts = [sum(h * 3600 <= m < (h + 1) * 3600 for m in moments) for h in range(10)]
    assert counts[2] > 1.5 * counts[5]
    assert counts[7] > 1.2 * counts[5]
    assert moments == hours.moments(10_000, 10.0, seed=7)
    assert moments != hours.moments(10_000, 10.0, seed=8)


def test_the_busiest_minute_is_counted() -> None:
    assert hours.busiest_minute([1, 2, 59, 61, 200]) == 3
    assert hours.busiest_minute([]) == 0


def test_percentiles_are_of_all_samples() -> None:
    samples = [(float(ms), ms != 7) for ms in range(1, 101)]

    assert Times.of(samples) == Times(100, 1, 51.0, 96.0, 100.0, 100.0)
    assert Times.of([]) == Times(0, 0, 0.0, 0.0, 0.0, 0.0)


def make_run(*, orders: float = 100, reads: float = 50, failed: int = 0, count: int = 60) -> Run:
    times = Times(count, 0, orders / 2, orders, orders, orders)
    pages = Times(100, failed, reads / 2, reads, reads, reads)
    kinds = {"place order": times, "list orders": pages}
    return Run(30.0, 0.1, kinds, pages, times, [(0.0, reads, orders)])


def test_the_knee_is_the_last_rate_at_which_all_was_well() -> None:
    well, slow = make_run(), make_run(orders=700)
    steps = [Step(1, 30, well, 0), Step(2, 30, well, 0), Step(4, 30, slow, 9)]

    rate, why = knee(steps)

    assert rate == 2
    assert why == ["p95 of orders is 700 ms", "2.0 of 4 orders a second were answered"]


@pytest.mark.parametrize(
    ("run", "trouble"),
    [
        (make_run(), ""),
        (make_run(orders=501), "p95 of orders is 501 ms"),
        (make_run(reads=201), "p95 of reads is 201 ms"),
        (make_run(failed=2), "1.2% of requests failed"),
        (make_run(count=50), "1.7 of 2 orders a second were answered"),
    ],
)
def test_each_limit_can_make_a_knee(run: Run, trouble: str) -> None:
    assert Step(2, 30, run, 0).troubles() == ([trouble] if trouble else [])


def test_samples_are_measured_by_kind_and_in_slices(tmp_path: Path) -> None:
    samples = [
        (1.0, "place order", 80.0, True),
        (2.0, "list orders", 20.0, True),
        (90.0, "quote", 9.0, False),
    ]
    path = tmp_path / "samples.jsonl"
    last = {"late": 0.5, "seconds": 100.0}
    path.write_text("".join(json.dumps(row) + "\n" for row in [*samples, last]))

    run = measure(path, slices=10)

    assert (run.requests, run.failed, run.late, run.seconds) == (3, 1, 0.5, 100.0)
    assert (run.orders.p95, run.reads.p95) == (80.0, 20.0)
    assert run.minutes == [(0.0, 20.0, 80.0), (90.0, 0.0, 0.0)]


def outcome(**changes: object) -> report.Outcome:
    options = {
        "orders": 60,
        "hours": 10.0,
        "factor": 20.0,
        "seed": 7,
        "base_url": "http://127.0.0.1:1",
    }
    facts: dict[str, object] = {
        "began": "2026-11-27 10:00 UTC",
        "options": options,
        "day": make_run(),
        "busiest_minute": 4,
        "told": {"order": 58, "payment": 20},
        "lost": [],
        "jobs_left": 0,
        "verified": True,
        "steps": [Step(2, 30, make_run(), 0)],
    }
    return report.Outcome(**{**facts, **changes})  # type: ignore[arg-type]


def test_a_loss_a_red_verify_and_a_failed_request_are_troubles() -> None:
    assert outcome().troubles() == []
    assert outcome(lost=["order 7 was acknowledged"]).troubles() == ["order 7 was acknowledged"]
    assert outcome(verified=False).troubles() == ["manage.py verify found differences"]
    assert outcome(day=make_run(failed=3)).troubles() == ["3 requests of the day failed"]
    assert outcome(told={"order": 0, "payment": 0}).troubles() == ["no order was acknowledged"]


def test_the_report_has_figures_a_story_and_plots(tmp_path: Path) -> None:
    path = report.write(
        outcome(steps=[Step(1, 30, make_run(), 0), Step(4, 30, make_run(orders=900), 3)]), tmp_path
    )

    text = path.read_text()
    assert "| place order | 60 | 0 | 50 | 100 | 100 | 100 |" in text
    assert (
        "All was well at 1 orders a second with what follows them; at the next step p95 of orders is 900 ms"
        in text
    )
    assert {p.name for p in tmp_path.glob("*.svg")} == {"day.svg", "knee-ms.svg", "knee-served.svg"}
    known = json.loads((tmp_path / "report.json").read_text())
    assert known["knee"]["rate"] == 1
    assert known["troubles"] == []


def test_a_dry_run_says_what_would_be_played(capsys: pytest.CaptureFixture[str]) -> None:
    assert command_line.main(["--dry-run", "--orders", "100", "--factor", "360"]) == 0

    assert "Would play 100 orders of 10 hours in 100 s" in capsys.readouterr().out


@pytest.fixture
def site(tmp_path: Path) -> Iterator[str]:
    port = free_port()
    env = {
        "PORT": str(port),
        "WEB_CONCURRENCY": "1",
        "DB_POOL_MAX": "0",
        "STATIC_ROOT": str(tmp_path),
    }
    env |= {"WHATSAPP_APP_SECRETS": "for-the-test", "RATE_LIMITED": "false"}
    # Passwords are hashed cheaply: forty people sign in.
    env |= {"DJANGO_SETTINGS_MODULE": "deploy.scale.releases.this", "SCALE_CHEAP": "1"}
    gunicorn = ("-m", "gunicorn", "-c", "deploy/local/gunicorn.conf.py", "khaacho.wsgi")
    celery = ("-m", "celery", "-A", "khaacho", "worker", "-c", "1", "--without-mingle")
    url = f"http://127.0.0.1:{port}"

    def is_up() -> bool:
        try:
            return httpx.get(f"{url}/livez", trust_env=False).status_code == 200
        except httpx.TransportError:
            return False

    with (
        process(*gunicorn, log=tmp_path / "web.log", **env),
        process(*celery, log=tmp_path / "worker.log", **env),
    ):
        loaded = subprocess.run(
            [sys.executable, "-m", "bench.trade", "load", "--logins", str(tmp_path / "demo.json"),
             "--data", str(write_data(tmp_path)), "--days", "10", "--orders-per-day", "6"],
            cwd=ROOT,
            env=environment(**env),
            capture_output=True,
            text=True,
            check=False,
        )  # fmt: skip
        assert loaded.returncode == 0, loaded.stdout + loaded.stderr
        wait_for(is_up, seconds=40, what="the web process")
        yield url


@pytest.mark.long
@pytest.mark.processes
@pytest.mark.patient
@pytest.mark.django_db(transaction=True)
def test_a_very_small_day_is_played_measured_and_verified(site: str, tmp_path: Path) -> None:
    folder = tmp_path / "report"
    day = ["--orders", "14", "--hours", "3", "--factor", "3000"]
    steps = ["--steps", "2", "--step-seconds", "3"]
    # Nobody sweeps here, and nobody thinks for more than a second or two.
    patience = ["--quiet-seconds", "4", "--idle-seconds", "2"]

    result = subprocess.run(
        [sys.executable, "-m", "bench.load_day", "--base-url", site, *day, *steps, *patience,
         "--logins", str(tmp_path / "demo.json"), "--report", str(folder)],
        cwd=ROOT,
        env=environment(WHATSAPP_APP_SECRETS="for-the-test", COLUMNS="120"),
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip

    logs = "".join(path.read_text()[-2000:] for path in folder.glob("*.log"))
    known = json.loads((folder / "report.json").read_text()) if folder.exists() else {}
    # A slow machine may be over a limit of time; nothing else may be.
    troubles = [t for t in known.get("troubles", ["none"]) if not t.startswith("p95")]
    assert troubles == [], result.stdout + result.stderr + logs
    assert known["told"]["order"] >= 11
    assert known["told"]["payment"] >= 1
    assert Order.objects.filter(order_number__in=told(folder)).count() == known["told"]["order"]
    # One that was cut off by the end of the day may be in the database, and nobody was told.
    assert Payment.objects.filter(reference__startswith="load-").count() >= known["told"]["payment"]
    assert {"place order", "quote", "accept", "deliver", "pay", "webhook", "dashboard"} <= known[
        "day"
    ]["kinds"].keys()
    assert [step["offered"] for step in known["steps"]] == [2.0]
    assert not list(folder.glob("*.script.json")), "scripts hold passwords"
    assert "| `manage.py verify` | clean |" in (folder / "report.md").read_text()


def told(folder: Path) -> list[str]:
    return [
        row["order_number"] for row in ledger.read(folder / "acknowledged.jsonl")["order"].values()
    ]
