"""Target 6c from end to end, with a poison whose attempts follow each other: that it is measured, not how it ends."""

import pytest

from bench.reference import poison as kinds
from bench.targets import poison
from khaacho import jobs
from tests.bench.benches import measured


@pytest.mark.long
@pytest.mark.processes
@pytest.mark.patient
@pytest.mark.django_db(transaction=True)
def test_waits_are_measured_beside_poison(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs.kinds, "known", dict(jobs.kinds.known))
    monkeypatch.setattr(kinds, "KINDS", ("raises",))
    monkeypatch.setattr(poison, "AT_LEAST", 1.0)
    monkeypatch.setattr(poison, "WARM", 1.0)
    monkeypatch.setenv("JOB_BACKOFF_SECONDS", "0.1")
    _, by_name = measured("6c")
    [(name, result)] = by_name.items()
    assert "a job that raises" in name
    assert (result.goal, result.unit) == (2, "ms/job")
    assert result.ours > 0
    assert result.reference
    assert "of " in result.note
