"""Everything is killed, frozen and emptied under load, for half a minute: make chaos, short and seeded."""

import json
import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.chaos import timeline
from tests.processes import ROOT

SEED, SECONDS, LEASE = 3, 30.0, 6
JOBS = int(os.environ.get("CHAOS_JOBS", "1000"))  # make chaos does 10,000

names = st.lists(st.sampled_from(list(timeline.FAULTS)), min_size=1, unique=True)


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a short run says for itself."""
    said: Path = tmp_path_factory.mktemp("chaos") / "said.json"
    options = {"seconds": SECONDS, "seed": SEED, "lease": LEASE, "jobs": JOBS, "json": said}
    arguments = [part for name, value in options.items() for part in (f"--{name}", str(value))]
    run = subprocess.run(
        [sys.executable, "-m", "bench.chaos", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    print(run.stderr[-3000:], run.stdout[-6000:])
    assert said.exists(), run.stderr[-3000:]
    found: dict[str, Any] = json.loads(said.read_text())
    found["code"] = run.returncode
    return found


@pytest.mark.long
@pytest.mark.processes
def test_nothing_is_violated_while_everything_is_broken(played: dict[str, Any]) -> None:
    assert {rule: found for rule, found in played["violations"].items() if found} == {}
    assert played["code"] == 0
    assert {fault["fault"] for fault in played["faults"]} == set(timeline.FAULTS)
    assert played["orders"] >= SECONDS
    assert played["drained_seconds"] <= 60


@pytest.mark.long
@pytest.mark.processes
def test_a_worker_never_runs_more_jobs_at_once_than_it_is_set_to(played: dict[str, Any]) -> None:
    crowd = played["crowd"]
    assert (crowd["jobs"], crowd["attempts"]) == (JOBS, JOBS)
    assert crowd["most"] == crowd["concurrency"] == 3


@given(names, st.integers(), st.floats(5, 4000), st.integers(2, 20))
def test_a_timeline_is_in_order_within_its_time_and_tracks_do_not_overlap_themselves(
    wanted: list[str], seed: int, seconds: float, lease: int
) -> None:
    acts = timeline.draw(wanted, seconds=seconds, seed=seed, lease=lease)
    assert acts == timeline.draw(wanted[::-1], seconds=seconds, seed=seed, lease=lease)
    assert {act.fault.name for act in acts} <= set(wanted)
    assert [act.at for act in acts] == sorted(act.at for act in acts)
    assert all(0 < act.at <= act.until <= seconds for act in acts)
    for track in {act.fault.track for act in acts}:
        mine = [act for act in acts if act.fault.track == track]
        assert all(one.until < two.at for one, two in pairwise(mine))
    assert all(act.seconds > lease for act in acts if act.fault.name == "zombie")


@pytest.mark.parametrize("seed", range(20))
def test_in_two_minutes_every_fault_comes(seed: int) -> None:
    acts = timeline.draw(timeline.FAULTS, seconds=120, seed=seed, lease=5)
    assert {act.fault.name for act in acts} == set(timeline.FAULTS)
