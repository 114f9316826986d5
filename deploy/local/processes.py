"""Processes that outlive a command: remembered beyond doubt, ended with all they started."""

import ctypes
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from deploy.local.accounts import Account
from deploy.local.files import read, write_private

MARK = "KHAACHO_PROCESS"
_PR_SET_PDEATHSIG = 1
_children: list[subprocess.Popen[bytes]] = []  # kept so that an ended one can be reaped


@dataclass(frozen=True)
class Identity:
    """One process of one boot; its pid alone may be a stranger's tomorrow."""

    pid: int
    started: int  # ticks since boot: field 22 of /proc/PID/stat
    boot: str


def identify(pid: int) -> Identity | None:
    """Return who has this pid now, or None when nobody has or only a zombie."""
    stat = read(Path(f"/proc/{pid}/stat")).rpartition(")")[2].split()
    if not stat or stat[0] in "ZX":
        return None
    return Identity(pid, int(stat[19]), read(Path("/proc/sys/kernel/random/boot_id")).strip())


def is_alive(identity: Identity | None) -> bool:
    """Return whether this very process still runs."""
    return identity is not None and identify(identity.pid) == identity


def recall(path: Path) -> Identity | None:
    """Return the identity recorded in the file, or None when it holds none."""
    with suppress(ValueError, TypeError, KeyError):
        record = json.loads(read(path))
        return Identity(int(record["pid"]), int(record["started"]), str(record["boot"]))
    return None


def record(path: Path, pid: int, fingerprint: str = "") -> None:
    """Write who has this pid now, with what it was started from."""
    identity = identify(pid)
    if identity:
        write_private(path, json.dumps({**asdict(identity), "fingerprint": fingerprint}))


def wait_until(done: Callable[[], bool], seconds: float) -> bool:
    """Poll until `done()`; return whether it came true in time."""
    deadline = time.monotonic() + seconds
    while not done():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.03)
    return True


def send(pids: Iterable[int], sig: signal.Signals) -> None:
    """Signal each process; those that are gone already do not matter."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, sig)


def marked(mark: str) -> list[int]:
    """Return the living processes that were started under this mark, or by one that was."""
    wanted = f"{MARK}={mark}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                if wanted in (entry / "environ").read_bytes().split(b"\0"):
                    found.append(int(entry.name))
    return [pid for pid in found if identify(pid)]


def die_with_parent(sig: signal.Signals) -> Callable[[], None]:
    """Return a preexec function: the kernel sends `sig` to the child when we die, however we die."""
    libc, parent = ctypes.CDLL(None), os.getpid()

    def tie() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, int(sig))
        if os.getppid() != parent:  # we died before the tie was made
            os._exit(1)

    return tie


def reap() -> None:
    """Take note of our own children that ended, which are zombies until then."""
    _children[:] = [child for child in _children if child.poll() is None]


@dataclass(frozen=True)
class Daemon:
    """A background process in a session of its own, with a pid file `home/name.pid`.

    Everything that it starts inherits its mark, so that orphans of a killed leader are found too.
    """

    name: str
    home: Path
    stop_signal: signal.Signals = signal.SIGTERM
    grace: float = 20.0  # seconds to end by itself before SIGKILL

    @property
    def pid_file(self) -> Path:
        """Return where the process is recorded."""
        return self.home / f"{self.name}.pid"

    @property
    def mark(self) -> str:
        """Return what tells this daemon's processes from all others."""
        return str(self.pid_file)

    @property
    def fingerprint(self) -> str:
        """Return what the recorded process was started from."""
        with suppress(ValueError, TypeError, KeyError):
            return str(json.loads(read(self.pid_file))["fingerprint"])
        return ""

    @property
    def running(self) -> bool:
        """Return whether the recorded process lives."""
        return is_alive(recall(self.pid_file))

    def start(
        self,
        command: Sequence[str],
        *,
        log: Path,
        environ: Mapping[str, str],
        cwd: Path = Path("/"),
        account: Account | None = None,
        tied: bool = False,
        fingerprint: str = "",
    ) -> None:
        """Start the command in the background and record it; `tied` ends it when we die."""
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output:
            child = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**environ, MARK: self.mark},
                cwd=cwd,
                start_new_session=True,
                user=account.uid if account else None,
                group=account.gid if account else None,
                extra_groups=[] if account else None,
                # Runs after the change of user, which would clear the tie.
                preexec_fn=die_with_parent(self.stop_signal) if tied else None,  # noqa: PLW1509
            )
        _children.append(child)
        record(self.pid_file, child.pid, fingerprint)

    def stop(self) -> bool:
        """End the process and all that it started; return whether there was anything to end."""
        leader = recall(self.pid_file)
        ran = is_alive(leader)
        if leader and ran:
            send([leader.pid], self.stop_signal)
            wait_until(lambda: not is_alive(leader), self.grace)
        orphans = marked(self.mark)
        send(orphans, self.stop_signal)
        if not wait_until(lambda: self._gone(leader), 2.0):
            send([leader.pid] if leader and is_alive(leader) else [], signal.SIGKILL)
            send(marked(self.mark), signal.SIGKILL)
            wait_until(lambda: self._gone(leader), 5.0)
        self.pid_file.unlink(missing_ok=True)
        return ran or bool(orphans)

    def _gone(self, leader: Identity | None) -> bool:
        reap()
        return not is_alive(leader) and not marked(self.mark)


def run(command: Sequence[str], *, environ: Mapping[str, str], cwd: Path) -> int:
    """Run a command in the foreground, tied to us; return its exit code.

    A signal that ends us ends it first, and is waited for.
    """
    return run_all([command], environ=environ, cwd=cwd)[0]


def run_all(
    commands: Sequence[Sequence[str]], *, environ: Mapping[str, str], cwd: Path
) -> list[int]:
    """Run commands side by side, as `run` does; return their exit codes."""
    children: list[subprocess.Popen[bytes]] = []
    try:
        for command in commands:
            tie = die_with_parent(signal.SIGTERM)
            child = subprocess.Popen(command, env=dict(environ), cwd=cwd, preexec_fn=tie)  # noqa: PLW1509 - a single thread forks here
            children.append(child)
        return [_wait(child) for child in children]
    finally:
        for child in children:
            _end(child)


def _wait(child: subprocess.Popen[bytes]) -> int:
    while True:
        try:
            return child.wait()
        except KeyboardInterrupt:  # the terminal told the child as well
            continue


def _end(child: subprocess.Popen[bytes]) -> None:
    if child.poll() is None:
        child.terminate()
        try:
            child.wait(10)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def exit_on_signals() -> None:
    """Turn SIGTERM and SIGHUP into SystemExit, so that everything is torn down in order."""

    def leave(number: int, frame: object) -> None:
        sys.exit(128 + number)

    signal.signal(signal.SIGTERM, leave)
    signal.signal(signal.SIGHUP, leave)
