"""Target 6b, with few jobs: what it finds, not how fast."""

import pytest

from bench.harness import worlds
from bench.targets import queue_stats
from khaacho.models import Job
from monitoring.models import JobMinute
from tests.bench.benches import make_bench


@pytest.mark.django_db
def test_the_figures_are_measured_and_equal_to_a_recount(reference: None, monkeypatch) -> None:
    monkeypatch.setattr(worlds, "settle", lambda: None)  # no VACUUM within the test's transaction

    found = queue_stats.results(make_bench(), 600, 60)

    assert [result.met for result in found if "unlike" in result.name] == [True, True]
    assert all(result.reference for result in found if "p99" in result.name)
    assert JobMinute.objects.count() > 300
    assert Job.objects.open().count() == 60


@pytest.mark.django_db
def test_a_wrong_figure_is_named(monkeypatch) -> None:
    monkeypatch.setattr(worlds, "settle", lambda: None)
    queue_stats._fill(queue_stats.FILL, 600, minutes=60)
    JobMinute.objects.filter(queue="reports").update(deduplicated=7)

    assert queue_stats._unlike() == ["reports deduplicated_24h"]
