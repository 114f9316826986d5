"""Each safeguard is missed: a few seconds of chaos without it, and an expectation says so."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.processes import ROOT, environment

pytestmark = [pytest.mark.processes, pytest.mark.long, pytest.mark.django_db(transaction=True)]

DRAINED = "All jobs are done within the time after the last fault."
ONCE = "Every done job took effect once, no other job at all, and no confirmed one is missing."
SLOTS = "Two beats insert each slot once, and its job takes effect once."
ONE_OPEN = "One job is open per key, and the last request for it is not missed."

Found = dict[str, dict[str, list[str]]]


@pytest.fixture(scope="module")
def violations(django_db_setup: None, tmp_path_factory: pytest.TempPathFactory) -> Found:
    """What was violated without each safeguard: one run, since starting the processes costs most."""
    switch: Path = tmp_path_factory.mktemp("sabotage") / "missing"
    switch.touch()
    quiet = {"LOG_LEVEL": "ERROR", "LOG_DIR": "", "DB_POOL_MAX": "0"}
    played = subprocess.run(
        [sys.executable, "-m", "tests.survival.saboteur"],
        cwd=ROOT,
        env=environment(SABOTAGE=str(switch), **quiet),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    print(played.stderr[-6000:])
    assert played.returncode == 0, played.stderr[-3000:]
    found: Found = json.loads(played.stdout.splitlines()[-1])
    return found


def test_with_every_safeguard_nothing_is_violated(violations: Found) -> None:
    assert violations["nothing"] == {}


@pytest.mark.parametrize(
    ("removed", "violated"),
    [
        ("fence", ONCE),
        ("lease", DRAINED),
        ("slots", SLOTS),
        ("keys", ONE_OPEN),
        ("sweep", DRAINED),
    ],
)
def test_without_it_something_is_violated(violations: Found, removed: str, violated: str) -> None:
    assert violated in violations[removed]
