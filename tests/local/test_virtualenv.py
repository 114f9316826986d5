import json
import shutil
import sys
from pathlib import Path

from deploy.local.virtualenv import STAMP, ensure, is_sound, python_version


def make_environment(place: Path, **stamp: str) -> None:
    """Make something like an environment, around the Python that runs the tests."""
    python = place / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    (place / ".venv" / STAMP).write_text(json.dumps(stamp))


def test_an_environment_is_completed_once_and_again_when_the_requirements_change(
    tmp_path: Path,
) -> None:
    make_environment(tmp_path)
    requirements, stamp = tmp_path / "requirements.txt", tmp_path / ".venv" / STAMP
    requirements.write_text("")
    ensure(tmp_path, (requirements.name,))
    first = stamp.stat()
    assert json.loads(stamp.read_text())["checkout"] == str(tmp_path)

    ensure(tmp_path, (requirements.name,))
    assert stamp.stat() == first

    requirements.write_text("# changed\n")
    ensure(tmp_path, (requirements.name,))
    assert stamp.stat() != first
    assert is_sound(tmp_path)


def test_an_environment_without_a_stamp_only_has_to_work(tmp_path: Path) -> None:
    make_environment(tmp_path)

    assert is_sound(tmp_path)


def test_a_copied_environment_is_not_sound(tmp_path: Path) -> None:
    make_environment(tmp_path / "one", checkout=str(tmp_path / "one"))
    shutil.copytree(tmp_path / "one", tmp_path / "two", symlinks=True)

    assert is_sound(tmp_path / "one")
    assert not is_sound(tmp_path / "two")


def test_an_environment_whose_python_changed_is_not_sound(tmp_path: Path) -> None:
    make_environment(tmp_path, python="3.11.0")

    assert not is_sound(tmp_path)


def test_an_environment_whose_python_went_away_is_not_sound(tmp_path: Path) -> None:
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    (tmp_path / ".venv" / "bin" / "python").symlink_to(tmp_path / "gone")

    assert python_version(tmp_path / ".venv") == ""
    assert not is_sound(tmp_path)
