"""Target 6 from end to end with few jobs: that it is measured, not how fast."""

import pytest

from bench.targets import jobs as target
from khaacho import jobs
from tests.bench.benches import measured


@pytest.mark.long
@pytest.mark.processes
@pytest.mark.patient
@pytest.mark.django_db(transaction=True)
def test_jobs_are_measured_beside_plain_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs.kinds, "known", dict(jobs.kinds.known))
    monkeypatch.setattr(target, "PROCESSES", (2,))  # make bench measures four, too
    _, by_name = measured("6")
    assert {result.target for result in by_name.values()} == {6}
    enqueuing = by_name["enqueuing a job in an open transaction: CPU of the application"]
    assert (enqueuing.unit, enqueuing.goal) == ("ms/job", 0.3)
    result = by_name["small jobs with claim, fence and finish, one node of 2 processes"]
    assert result.goal == 5
    assert result.ours > 0
    assert result.reference
