"""Small files that must never be half written, and locks that die with their holder."""

import fcntl
import hashlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

SOCKET_PATH_MAX = 80  # bytes for a directory; the kernel allows 107 with the socket's own name


class SetupError(Exception):
    """The command cannot go on; the message says why and what to do."""


def say(text: str) -> None:
    """Tell the person at the terminal one line of progress."""
    print(f"[khaacho] {text}", file=sys.stderr, flush=True)


def write_private(path: Path, text: str) -> None:
    """Replace the file in one step, readable by its owner only; parents are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    draft.replace(path)


def read(path: Path) -> str:
    """Return the file's text, or nothing when it is not there."""
    with suppress(OSError):
        return path.read_text(errors="replace")
    return ""


def tail(path: Path, lines: int = 30) -> str:
    """Return the last lines of a log."""
    return "\n".join(read(path).splitlines()[-lines:])


@contextmanager
def locked(path: Path, waiting: str) -> Iterator[None]:
    """Hold the file's lock; say `waiting` once when another process has it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(waiting)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


@dataclass(frozen=True)
class Layout:
    """Where a checkout keeps what the commands make."""

    checkout: Path

    @property
    def var(self) -> Path:
        """Return the directory of everything that git does not know."""
        return self.checkout / "var"

    @property
    def logs(self) -> Path:
        """Return the directory that `make logs` follows."""
        return self.var / "log"

    @property
    def run(self) -> Path:
        """Return the directory of the pid files."""
        return self.var / "run"

    @property
    def logins(self) -> Path:
        """Return the file that tells other programs how to reach the demo."""
        return self.var / "demo.json"

    @property
    def key(self) -> str:
        """Return a short name for this checkout, for directories outside it."""
        return hashlib.sha256(str(self.checkout).encode()).hexdigest()[:10]

    @property
    def servers(self) -> Path:
        """Return the directory of the private servers' data and sockets.

        Outside the checkout for root, whose servers run as another user that may not reach it,
        and for a checkout so deep that a socket's path would not fit.
        """
        inside = self.var / "servers"
        if os.geteuid() and len(os.fsencode(inside)) <= SOCKET_PATH_MAX:
            return inside
        return Path("/var/tmp") / f"khaacho-{os.geteuid()}-{self.key}"  # noqa: S108 - owner checked


LAYOUT = Layout(Path(__file__).resolve().parents[2])
