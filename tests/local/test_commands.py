import re
import subprocess

import pytest

from deploy.local.__main__ import COMMANDS
from deploy.local.files import LAYOUT

LOCKS = ("requirements", "requirements-dev")
PIN = re.compile(r"^([A-Za-z0-9_.-]+)(?:\[[a-z,]+\])?==(\S+)", re.MULTILINE)


def pins(name: str) -> set[tuple[str, str]]:
    text = (LAYOUT.checkout / name).read_text()
    return {(re.sub(r"[-_.]+", "-", package).lower(), pin) for package, pin in PIN.findall(text)}


def test_help_has_one_line_for_each_command() -> None:
    result = subprocess.run(
        ["make", "help"], cwd=LAYOUT.checkout, capture_output=True, text=True, check=True
    )

    listed = re.findall(r"^  make ([a-z-]+) +\S", result.stdout, re.MULTILINE)
    assert sorted(listed) == sorted([*COMMANDS, "help"])


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_holds_every_direct_requirement(name: str) -> None:
    direct = pins(f"{name}.in")

    assert direct
    assert direct <= pins(f"{name}.txt")


def test_the_locks_agree() -> None:
    runtime, development = dict(pins("requirements.txt")), dict(pins("requirements-dev.txt"))

    for package in runtime.keys() & development.keys():
        assert runtime[package] == development[package]


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_names_no_machine_and_no_host(name: str) -> None:
    text = (LAYOUT.checkout / f"{name}.txt").read_text()

    assert not re.search(r"://|^-|file:/|/work|/home|/opt", text, re.MULTILINE)


def test_the_lock_serves_the_oldest_python() -> None:
    text = (LAYOUT.checkout / "requirements.txt").read_text()

    assert re.search(r'^async-timeout==\S+ ; python_full_version < "3\.11\.3"$', text, re.MULTILINE)


def test_the_example_explains_every_variable_of_the_settings() -> None:
    settings = (LAYOUT.checkout / "khaacho" / "settings.py").read_text()
    example = (LAYOUT.checkout / ".env.example").read_text()

    read = set(re.findall(r'\benv\.\w+\(\s*"([A-Z_]+)"', settings))
    assert read
    assert read <= set(re.findall(r"\b([A-Z_]{3,})=", example))
