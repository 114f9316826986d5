import os
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from deploy.local.processes import (
    Daemon,
    identify,
    is_alive,
    marked,
    recall,
    record,
    wait_until,
)


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    daemon = Daemon("toy", tmp_path, grace=5.0)
    yield daemon
    daemon.stop()


def start(daemon: Daemon, script: str) -> int:
    daemon.start(["sh", "-c", script], log=daemon.home / "log", environ=os.environ)
    identity = recall(daemon.pid_file)
    assert identity is not None
    return identity.pid


def test_a_daemon_has_a_session_of_its_own(daemon: Daemon) -> None:
    pid = start(daemon, "sleep 60; true")

    assert daemon.running
    assert os.getsid(pid) == pid


def test_stop_ends_the_children_too(daemon: Daemon) -> None:
    start(daemon, "sleep 60 & sleep 60; true")
    assert wait_until(lambda: len(marked(daemon.mark)) == 3, 5)

    assert daemon.stop()

    assert marked(daemon.mark) == []
    assert not daemon.pid_file.exists()


def test_stop_finds_the_orphans_of_a_killed_leader(daemon: Daemon) -> None:
    pid = start(daemon, "sleep 60 & sleep 60; true")
    assert wait_until(lambda: len(marked(daemon.mark)) == 3, 5)
    os.kill(pid, signal.SIGKILL)
    assert wait_until(lambda: not daemon.running, 5)

    assert daemon.stop()

    assert marked(daemon.mark) == []


def test_stop_kills_what_ignores_the_signal(daemon: Daemon) -> None:
    stubborn = replace(daemon, grace=0.2)
    start(stubborn, "trap '' TERM; for _ in $(seq 100); do sleep 0.1; done")
    time.sleep(0.1)

    assert stubborn.stop()

    assert marked(daemon.mark) == []


def test_stop_twice_is_once(daemon: Daemon) -> None:
    start(daemon, "sleep 60; true")

    assert daemon.stop()
    assert not daemon.stop()


def test_stop_leaves_a_recycled_pid_alone(daemon: Daemon) -> None:
    with subprocess.Popen(["sleep", "60"]) as bystander:
        identity = identify(bystander.pid)
        assert identity is not None
        record(daemon.pid_file, bystander.pid)
        text = daemon.pid_file.read_text()
        daemon.pid_file.write_text(text.replace(str(identity.started), str(identity.started - 1)))

        assert not daemon.running
        assert not daemon.stop()

        assert is_alive(identity)
        bystander.kill()


def test_a_pid_of_an_earlier_boot_is_a_stranger(tmp_path: Path) -> None:
    identity = identify(os.getpid())
    assert identity is not None

    assert is_alive(identity)
    assert not is_alive(replace(identity, boot="another"))


def test_a_zombie_is_not_alive() -> None:
    child = subprocess.Popen(["true"])
    assert wait_until(lambda: identify(child.pid) is None, 5)
    child.wait()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": 1}', '{"pid": "x", "started": 1}'])
def test_an_unreadable_record_is_none(daemon: Daemon, text: str) -> None:
    daemon.pid_file.write_text(text)

    assert recall(daemon.pid_file) is None
    assert not daemon.running
    assert not daemon.stop()
