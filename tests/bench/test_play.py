"""Playing a day against a real site: once a day, to the end after an interruption, on loopback only."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import httpx
import pytest

from bench.trade import __main__ as command_line
from bench.trade.play import plan
from bench.trade.play.plan import Ending, Market, Offer
from bench.trade.play.site import NotLoopback, Site
from khaacho import jobs
from khaacho.models import Job
from monitoring.invariants import run_invariants
from orders.enums import OrderSource, OrderStatus
from orders.models import Order, OrderRefusal, OrderStatusLog
from payments.models import Payment
from tests.bench.conftest import write_data
from tests.processes import ROOT, environment, free_port, process, wait_for

DAY = ("--orders", "12")


def make_market() -> Market:
    offers = {
        vendor: [
            Offer(product, f"SKU-{product}", vendor, Decimal(50 + product + vendor), 100, 1, 20)
            for product in range(1, 9)
        ]
        for vendor in range(1, 4)
    }
    return Market(list(range(1, 30)), offers)


def test_a_longer_day_begins_like_a_shorter_one() -> None:
    short, long = (plan.draw(make_market(), n, seed=7, day="d/1-7") for n in (12, 300))

    assert long[:12] == short
    assert plan.draw(make_market(), 12, seed=8, day="d/1-8") != short


def test_the_shortest_day_shows_everything() -> None:
    day = plan.draw(make_market(), 12, seed=7, day="d/1-7")

    assert {errand.story.ending for errand in day} == set(Ending)
    assert {errand.paying for errand in day} == set(plan.Paying)
    assert [errand.number for errand in day if errand.by_whatsapp] == [4]
    assert all(errand.is_named for errand in day if errand.story.declined)


def test_few_shops_make_most_of_a_day() -> None:
    day = plan.draw(make_market(), 1000, seed=7, day="d/1-7")
    counts = sorted(
        (sum(e.shop == shop for e in day) for shop in {e.shop for e in day}), reverse=True
    )

    assert len(counts) == plan.SHOPS
    assert sum(counts[: plan.SHOPS // 4]) > 450


@pytest.mark.parametrize(
    "url", ["http://example.com", "https://127.0.0.1", "http://127.0.0.1.example.com", "nowhere"]
)
def test_refuses_other_machines(url: str) -> None:
    with pytest.raises(NotLoopback):
        Site(url)


def test_says_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    logins = tmp_path / "demo.json"

    assert command_line.main(["play", "--logins", str(logins)]) == 1
    assert "No such file" in " ".join(capsys.readouterr().out.split())

    logins.write_text("{}")
    assert command_line.main(["play", "--logins", str(logins), "--base-url", "http://[::2]"]) == 1
    assert "this machine alone" in " ".join(capsys.readouterr().out.split())

    assert command_line.main(["play", "--logins", str(logins)]) == 1
    said = " ".join(capsys.readouterr().out.split())
    assert "has no logins: operator, retailers, vendors." in said
    assert "make demo FRESH=1" in said


@dataclass(frozen=True)
class Demo:
    """A running site with a small trade."""

    url: str
    logins: Path
    env: dict[str, str]

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "bench.trade", *arguments, "--logins", str(self.logins)],
            cwd=ROOT,
            env=environment(**self.env),
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )

    def play(self, *options: str) -> subprocess.CompletedProcess[str]:
        return self.run("play", "--base-url", self.url, *DAY, *options)

    def is_up(self) -> bool:
        try:
            return httpx.get(f"{self.url}/livez", trust_env=False).status_code == 200
        except httpx.TransportError:
            return False


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Demo]:
    port = free_port()
    env = {
        "PORT": str(port),
        "WEB_CONCURRENCY": "1",
        "DB_POOL_MAX": "0",
        "STATIC_ROOT": str(tmp_path),
        "WHATSAPP_APP_SECRETS": "for-the-test",
        "COLUMNS": "120",
        # Passwords are hashed cheaply: thirty people sign in, three times.
        "DJANGO_SETTINGS_MODULE": "deploy.scale.releases.this",
        "SCALE_CHEAP": "1",
    }
    site = Demo(f"http://127.0.0.1:{port}", tmp_path / "demo.json", env)
    loading = ("--data", str(write_data(tmp_path)), "--days", "10", "--orders-per-day", "6")
    gunicorn = ("-m", "gunicorn", "-c", "deploy/local/gunicorn.conf.py", "khaacho.wsgi")
    celery = ("-m", "celery", "-A", "khaacho", "worker", "-c", "1", "--without-mingle")
    loaded = site.run("load", *loading)
    assert loaded.returncode == 0, loaded.stdout + loaded.stderr
    with (
        process(*gunicorn, log=tmp_path / "web.log", **env),
        process(*celery, log=tmp_path / "worker.log", **env),
    ):
        wait_for(site.is_up, seconds=40, what="the web process")
        yield site


def trade() -> list[tuple[object, ...]]:
    """Everything that a day leaves behind."""
    return [
        *Order.objects.order_by("pk").values_list("pk", "status", "total", "due_amount"),
        *Payment.objects.order_by("pk").values_list("pk", "payment_status", "amount"),
        (OrderRefusal.objects.count(), OrderStatusLog.objects.count()),
    ]


def is_quiet() -> bool:
    """Sweep; whether nothing is left to do."""
    jobs.sweep()
    return not Job.objects.open().exists()


@pytest.mark.long
@pytest.mark.processes
@pytest.mark.patient
@pytest.mark.django_db(transaction=True)
def test_plays_a_day_once(demo: Demo) -> None:
    before = Order.objects.count()
    first = demo.play()
    assert first.returncode == 0, first.stdout + first.stderr
    assert "Consistent: 12 orders" in first.stdout
    assert "signature_invalid" in first.stdout
    played = Order.objects.order_by("pk")[before:]
    assert len(played) == 12
    assert {order.status for order in played} >= {OrderStatus.COMPLETED, OrderStatus.CANCELLED}
    assert [o.source for o in played].count(OrderSource.WHATSAPP) == 1
    wait_for(is_quiet, seconds=30, what="the notices")
    then = trade()

    second = demo.play()
    assert (second.returncode, trade()) == (0, then)
    assert "was played already; nothing was changed" in second.stdout

    # without its last payment the day looks interrupted: it goes on, and everything is there
    closing = Payment.objects.latest("pk")
    assert closing.reference.endswith("/close-1")
    Payment.objects.filter(pk=closing.pk).update(reference="")
    payments = Payment.objects.count()
    third = demo.play()
    assert third.returncode == 0, third.stdout + third.stderr
    assert Order.objects.count() == before + 12
    assert Payment.objects.count() == payments
    assert [(r.invariant.name, r.examples) for r in run_invariants() if r.violations] == []
