"""Log files that many processes write at once, and lose no line of (docs/adr/0041).

A line is one write to a file opened for appending, which the kernel puts behind all others. Around it the
writer shares a lock on the file that it has open, and looks whether that is still the one of this name.
So whoever renamed a file, and then for a moment has its lock alone, knows that nobody writes to it any
more. Whoever comes first after midnight, or finds the file too long, renames it; a thread compresses it.

Nothing here raises, and nothing waits but for the disk: a file that cannot be written costs its lines,
which standard error has too, and is tried again after a second.
"""

import errno
import fcntl
import json
import logging
import os
import sys
import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from khaacho import log_archive

AGAIN_SECONDS = 1.0  # after a failure
COMPLAIN_SECONDS = 60.0
TRIES = 20  # to find a file that nobody renames in the same moment
LOCK_TRIES, LOCK_PAUSE = 50, 0.001  # seconds; only somebody from outside holds a lock for longer

_files: "weakref.WeakSet[SharedFile]" = weakref.WeakSet()


class SharedFile(logging.Handler):
    """Writes lines to `filename` together with any number of processes of this machine.

    Rotated at midnight (of Kathmandu) and beyond `most_bytes`; what is older than `kept_days` is deleted.
    """

    def __init__(self, filename: str, *, most_bytes: int = 2**27, kept_days: int = 30) -> None:
        super().__init__()
        self.path = Path(filename)
        self.most_bytes, self.kept_days = most_bytes, kept_days
        self.lost = 0  # lines of this process that could not be written
        self._filename = filename
        self._file = -1
        self._identity = (0, 0)  # device and number of the file that is open
        self._failed_at = self._complained_at = float("-inf")
        _files.add(self)

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self.format(record).encode("utf-8", "backslashreplace") + b"\n"
        except Exception:  # noqa: BLE001 - what cannot be said must not hurt who says it
            self.lost += 1
            return
        self.write(line)

    def write(self, line: bytes) -> None:
        """Append whole lines. Never raises."""
        if time.monotonic() - self._failed_at < AGAIN_SECONDS:
            self.lost += 1
            return
        try:
            self._append(line)
        except OSError as error:
            self._failed_at = time.monotonic()
            self.lost += 1
            self._leave()
            self._complain(error)

    def rotate(self) -> bool:
        """Rename the file now, unless it is empty or another process is at it; return whether it was done."""
        self.acquire()
        try:
            return self._rotate(is_forced=True)
        except OSError as error:
            self._complain(error)
            return False
        finally:
            self.release()

    def close(self) -> None:
        self._leave()
        super().close()

    def begin_anew(self) -> None:
        """In a child: open the file again, for locks belong to what was opened, not to the process."""
        self._leave()
        self._failed_at = float("-inf")

    def _append(self, line: bytes) -> None:
        may_rotate = True
        for _ in range(TRIES):
            if self._file < 0:
                self._enter()
            number = self._file
            _lock_shared(number)
            try:
                named = self._named()
                if named and not (may_rotate and self._is_due(named)):
                    _put(number, line)
                    return
            finally:
                fcntl.flock(number, fcntl.LOCK_UN)
            if named:
                may_rotate = (
                    self._rotate()
                )  # else another process is at it, and this line goes before
            else:
                self._leave()
        raise OSError(errno.EAGAIN, "the file is renamed again and again")

    def _named(self) -> os.stat_result | None:
        """Return the facts of the file of this name, None when it is not the one that is open."""
        opened = os.fstat(self._file)
        if (opened.st_dev, opened.st_ino) != self._identity:
            self._file = -1  # somebody closed it, and the number is another file's by now
            raise OSError(errno.EBADF, "the log file was closed")
        try:
            named = os.stat(self._filename)
        except FileNotFoundError:
            return None
        return named if (named.st_dev, named.st_ino) == self._identity else None

    def _is_due(self, found: os.stat_result) -> bool:
        if found.st_size >= self.most_bytes:
            return True
        return bool(found.st_size) and log_archive.day(found.st_mtime) < log_archive.day(
            time.time()
        )

    def _rotate(self, *, is_forced: bool = False) -> bool:
        with only_one(self.path, "rotating") as is_mine:
            if not is_mine:
                return False
            with suppress(FileNotFoundError):
                found = os.stat(self._filename)
                if self._is_due(found) or (is_forced and found.st_size):
                    os.rename(self._filename, log_archive.next_name(self.path, found.st_mtime))
                    self._tidy_later()
        return True

    def _tidy_later(self) -> None:
        work = threading.Thread(target=self.tidy, name="logs", daemon=True)
        with suppress(RuntimeError):  # no thread to be had: the next one who rotates does it
            work.start()

    def tidy(self) -> None:
        """Compress what was rotated, delete what is too old. Never raises."""
        try:
            with only_one(self.path, "tidying") as is_mine:
                if is_mine:
                    log_archive.tidy(self.path, self.kept_days)
        except OSError as error:
            self._complain(error)

    def _enter(self) -> None:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        try:
            self._file = os.open(self._filename, flags, 0o640)
        except FileNotFoundError:
            os.makedirs(self.path.parent, exist_ok=True)
            self._file = os.open(self._filename, flags, 0o640)
        opened = os.fstat(self._file)
        self._identity = opened.st_dev, opened.st_ino

    def _leave(self) -> None:
        """Close the file, if it still is the one that was opened."""
        number, self._file = self._file, -1
        if number >= 0:
            with suppress(OSError):
                opened = os.fstat(number)
                if (opened.st_dev, opened.st_ino) == self._identity:
                    os.close(number)

    def _complain(self, error: OSError) -> None:
        """Say on standard error, once a minute, that the file cannot be written."""
        now = time.monotonic()
        if now - self._complained_at < COMPLAIN_SECONDS:
            return
        self._complained_at = now
        line: dict[str, Any] = {
            "level": "ERROR",
            "event": "log_file.failed",
            "file": self._filename,
        }
        line |= {"error": error.strerror or type(error).__name__, "lost": self.lost}
        with suppress(OSError, ValueError, AttributeError):
            sys.stderr.write(f"{json.dumps(line)}\n")


def files() -> list[SharedFile]:
    """Return the log files of this process, by path."""
    return sorted(_files, key=lambda each: each.path)


def _lock_shared(number: int) -> None:
    """Share the lock. Raises OSError when somebody keeps it for himself."""
    for _ in range(LOCK_TRIES):
        try:
            fcntl.flock(number, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(LOCK_PAUSE)
        else:
            return
    raise OSError(errno.EWOULDBLOCK, "somebody keeps the log file locked")


def _put(number: int, line: bytes) -> None:
    """Write the line as a whole or not at all. Raises OSError."""
    written = os.write(number, line)
    if written == len(line):
        return
    # The disk is full. Take back the half line, if nobody wrote behind it.
    end = os.lseek(number, 0, os.SEEK_CUR)
    fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    if os.fstat(number).st_size == end:
        os.ftruncate(number, end - written)
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@contextmanager
def only_one(path: Path, what: str) -> Iterator[bool]:
    """Be the only process of this machine that does this to a log; False when another is at it."""
    number = os.open(
        path.with_name(f".{path.name}.{what}"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640
    )
    try:
        try:
            fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        try:
            yield True
        finally:
            fcntl.flock(number, fcntl.LOCK_UN)  # also for a child that was forked meanwhile
    finally:
        os.close(number)


def _begin_anew() -> None:
    for each in list(_files):
        each.begin_anew()


os.register_at_fork(after_in_child=_begin_anew)
