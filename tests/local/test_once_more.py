"""Which failures of the whole suite are run again, and that a real one stays red."""

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from deploy.local import checks, environment
from deploy.local.files import Layout
from tests.processes import ROOT


@pytest.mark.parametrize(
    ("failed", "asked"),
    [
        ([], False),
        (["tests/api/test_health.py::test_a"], True),
        ([f"tests/api/test_health.py::test_{n}" for n in range(3)], True),
        ([f"tests/api/test_health.py::test_{n}" for n in range(4)], False),
        (["tests/orders/test_races.py::test_a"], False),
        (["tests/api/test_health.py::test_a", "tests/survival/test_zombies.py::test_b"], False),
    ],
)
def test_few_and_no_race(failed, asked):
    assert checks._may_be_asked_again(failed, Layout(ROOT)) is asked


@pytest.mark.parametrize(("second", "code"), [("pass", 0), ("assert False", 1)])
def test_a_failure_that_stays_is_red(tmp_path, monkeypatch, capfd, second, code):
    """Each round is a pytest of a directory with one test, which may pass when it is run again."""
    marker = tmp_path / "was_here"
    (tmp_path / "pyproject.toml").write_text("[tool.pytest.ini_options]\n")
    (tmp_path / "test_it.py").write_text(
        "from pathlib import Path\n\n\ndef test_it():\n"
        f"    if not Path({str(marker)!r}).exists():\n"
        f"        Path({str(marker)!r}).touch()\n        assert False\n"
        f"    {second}\n"
    )
    plain = ["-p", "no:django", "-p", "no:randomly", "-p", "no:locust", "test_it.py"]
    layout = replace(Layout(ROOT), checkout=tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ARGS", raising=False)
    monkeypatch.setenv("PYTEST_ADDOPTS", "-p no:django -p no:randomly -p no:locust")
    monkeypatch.setattr(checks, "MOST", plain)
    monkeypatch.setattr(checks, "REST", [*plain, "--collect-only"])
    monkeypatch.setattr(checks, "_files_with", lambda mark, layout: [])
    monkeypatch.setattr(environment, "tests", lambda layout, services: dict(os.environ))
    assert checks.test(layout) == code
    said = capfd.readouterr()
    assert ("passed alone" in said.out + said.err) is (code == 0)
    assert json.loads((Path(tmp_path) / ".pytest_cache/v/cache/lastfailed").read_text()) == (
        {"test_it.py::test_it": True} if code else {}
    )
