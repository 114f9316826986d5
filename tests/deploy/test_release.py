"""deploy/release.sh: the order of its steps, and what it says and leaves when one fails."""

import os
import subprocess
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from deploy.local.files import LAYOUT

Run = Callable[..., subprocess.CompletedProcess[str]]
# What is done here is written down by a program in the place of manage.py and of what restarts.
PROGRAM = """#!/bin/sh
echo "{name} $*" >> {done}
case "{name} $*" in ${{FAILS:-nothing}}) exit ${{CODE:-1}} ;; esac
"""
ALL = [
    "manage check --deploy",
    "manage collectstatic --noinput -v0",
    "manage migrate_live --patience 5",
    "manage sync_groups",
    "web 1 {port}",
    "worker messages",
    "worker trade",
    "manage sync_schedules",
    "beat ",
    "manage release_marker v1.2.3",
    "manage verify",
]


class Ready(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


@pytest.fixture
def port() -> int:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Ready)
    Thread(target=server.serve_forever, daemon=True).start()
    return server.server_address[1]


@pytest.fixture
def done(tmp_path: Path) -> Path:
    path = tmp_path / "done"
    path.touch()
    return path


@pytest.fixture
def release(tmp_path: Path, done: Path, port: int) -> Run:
    for name in ("manage", "web", "worker", "beat"):
        program = tmp_path / name
        program.write_text(PROGRAM.format(name=name, done=done))
        program.chmod(0o700)
    environ = {
        "PATH": os.environ["PATH"],
        "MANAGE": f"{tmp_path}/manage",
        "RESTART": f"{tmp_path}/web",
        "RESTART_WORKER": f"{tmp_path}/worker",
        "RESTART_BEAT": f"{tmp_path}/beat",
        "WORKERS": "messages trade",
        "MIGRATE": "--patience 5",
        "PORTS": str(port),
        "DRAINING": f"{tmp_path}/draining",
    }

    def run(*arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["sh", LAYOUT.checkout / "deploy" / "release.sh", *arguments],
            env=environ | more,
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def test_every_step_in_its_order(release: Run, done: Path, port: int) -> None:
    result = release("v1.2.3")

    assert result.returncode == 0, result.stderr
    assert done.read_text().splitlines() == [line.format(port=port) for line in ALL]
    assert result.stderr.endswith("release: v1.2.3 is out\n")


def test_a_dry_run_says_each_command_and_does_none(release: Run, done: Path) -> None:
    result = release("--dry-run", "--preflight", "v1.2.3", RESTART_WORKER="", RESTART_BEAT="")

    assert result.returncode == 0
    assert done.read_text() == ""
    for command in (
        "manage check --deploy",
        "manage preflight --skip migrations --skip indexes --skip groups --skip schedules",
        "manage migrate_live --patience 5",
        "sh deploy/rolling.sh",
        "systemctl restart khaacho-worker@trade.service",
        "systemctl restart khaacho-beat.service",
        "manage release_marker v1.2.3",
    ):
        assert f"{command}\n" in result.stdout
    assert "nothing was done" in result.stdout


@pytest.mark.parametrize(
    ("fails", "code", "exit_code", "steps", "says"),
    [
        ("manage?check*", 1, 3, 1, "Nothing was changed and the old code serves."),
        ("manage?collectstatic*", 1, 4, 2, "The old code serves; its pages may have"),
        ("manage?migrate_live*", 1, 5, 3, "Put the previous code back in place before anything"),
        ("manage?migrate_live*", 3, 6, 3, "when that transaction has ended"),
        ("manage?sync_groups*", 1, 5, 4, "The groups were not set"),
        ("web*", 1, 7, 5, "do not reverse migrations."),
        ("worker?trade", 1, 8, 6, "The worker trade did not come back."),
        ("manage?sync_schedules", 1, 9, 7, "nothing happens by the clock"),
        ("beat*", 1, 9, 8, "nothing happens by the clock"),
        ("manage?release_marker*", 1, 10, 9, "only its mark is missing"),
        ("manage?verify", 1, 11, 10, '"An invariant is violated"'),
    ],
)
def test_a_step_that_fails_ends_it_with_a_sentence(
    release: Run, done: Path, fails: str, code: int, exit_code: int, steps: int, says: str
) -> None:
    quick = {} if fails == "web*" else {"PORTS": " "}  # no web process: each takes a second

    result = release("v1.2.3", FAILS=fails, CODE=str(code), **quick)

    assert result.returncode == exit_code
    assert len(done.read_text().splitlines()) == steps
    assert "release: FAILED: " in result.stderr
    assert says in result.stderr


def test_a_web_process_that_does_not_start_again_stays_away_from_requests(
    release: Run, tmp_path: Path
) -> None:
    assert release("v1.2.3", FAILS="web*").returncode == 7

    assert [path.name for path in (tmp_path / "draining").iterdir()] == ["web-1"]


def test_a_red_checklist_stops_it_before_anything(release: Run, done: Path) -> None:
    result = release("--preflight", "v1.2.3", FAILS="manage?preflight*")

    assert result.returncode == 3
    assert len(done.read_text().splitlines()) == 2


def test_steps_can_be_left_out(release: Run, done: Path) -> None:
    result = release("--skip=static", "--skip=web", "--skip=verify", "v1.2.3")

    assert result.returncode == 0
    assert not {"collectstatic", "web", "verify"} & set(done.read_text().split())
    assert len(done.read_text().splitlines()) == len(ALL) - 3


@pytest.mark.parametrize("wrong", [(), ("--skip=tea", "v1"), ("--fast", "v1"), ("v1", "v2")])
def test_wrong_arguments_do_nothing(release: Run, done: Path, wrong: tuple[str, ...]) -> None:
    result = release(*wrong)

    assert result.returncode == 2
    assert "deploy/release.sh [--dry-run]" in result.stderr
    assert done.read_text() == ""


def test_units_are_restarted_as_the_sites_user_and_past_pgbouncer(
    release: Run, done: Path, tmp_path: Path, port: int
) -> None:
    """On a machine of the handbook: systemctl, runuser and the environment file, as they are called there."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, text in {
        "systemctl": f'echo "systemctl $*" >> {done}',
        "runuser": f'echo "runuser $* at $DATABASE_URL $DB_PGBOUNCER" >> {done}',
    }.items():
        (programs / name).write_text(f"#!/bin/sh\n{text}\n")
        (programs / name).chmod(0o700)
    (tmp_path / "khaacho.env").write_text(
        "DATABASE_URL=postgresql://pooled\nDATABASE_DIRECT_URL=postgresql://direct\nDB_PGBOUNCER=true\n"
    )

    result = release(
        "v1.2.3",
        PATH=f"{programs}:{os.environ['PATH']}",
        SETTINGS=f"{tmp_path}/khaacho.env",
        VENV="/opt/venv",
        MANAGE="",
        RESTART="",
        RESTART_WORKER="",
        RESTART_BEAT="",
    )

    assert result.returncode == 0, result.stderr
    lines = done.read_text().splitlines()
    manage = "runuser -u khaacho --preserve-environment -- /opt/venv/bin/python manage.py"
    assert f"{manage} migrate_live --patience 5 at postgresql://direct false" in lines
    assert [line for line in lines if line.startswith("systemctl restart")] == [
        f"systemctl restart khaacho-web@{port}.service",
        "systemctl restart khaacho-worker@messages.service",
        "systemctl restart khaacho-worker@trade.service",
        "systemctl restart khaacho-beat.service",
    ]
    assert sum("inspect ping -t 2 -d trade@" in line for line in lines) == 1
