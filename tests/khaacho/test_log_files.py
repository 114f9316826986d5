"""Log files that many processes share: no line is lost or torn, whatever becomes of the file."""

import errno
import fcntl
import gzip
import json
import logging
import os
import resource
import shutil
import subprocess
import sys
import time
from collections import Counter
from datetime import datetime
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from khaacho import log_archive, log_files
from khaacho.log_files import SharedFile
from khaacho.settings import LOG_FILES, log_file
from tests.processes import ROOT, environment, wait_for
from tests.stopwatch import Stopwatch

PROCESSES, LINES, ROTATIONS = 8, 250, 10
DAY = 86_400


@pytest.fixture
def shared(tmp_path):
    file = SharedFile(str(tmp_path / "logs" / "combined.log"))
    yield file
    file.close()


def say(file: SharedFile, text: str) -> None:
    file.emit(logging.makeLogRecord({"msg": text}))


def tidied(file: SharedFile) -> list[Path]:
    """Return the file's past once it is compressed; a thread may be at it."""

    def is_done() -> bool:
        file.tidy()
        return all(each.suffix == ".gz" for each in log_archive.rotated(file.path))

    wait_for(is_done)
    return log_archive.rotated(file.path)


def everything(path: Path) -> list[str]:
    """Return all lines of a log and of its past."""
    lines = []
    for each in [*log_archive.rotated(path), *([path] if path.exists() else [])]:
        packed = each.read_bytes()
        plain = gzip.decompress(packed) if each.suffix == ".gz" else packed
        assert plain.endswith(b"\n")
        lines += plain.decode().splitlines()
    return lines


@pytest.mark.processes
@pytest.mark.patient
@pytest.mark.django_db(transaction=True)
def test_eight_processes_lose_no_line_of_any_file_through_ten_rotations(tmp_path):
    """Four are started and fork once the files are open; this process rotates and compresses meanwhile."""
    command = [sys.executable, "-m", "tests.khaacho.log_writer", str(LINES), str(60_000)]
    env = environment(LOG_DIR=str(tmp_path), LOG_LEVEL="INFO")
    writers = [
        subprocess.Popen(command, cwd=ROOT, env=env, stderr=subprocess.DEVNULL)
        for _ in range(PROCESSES // 2)
    ]
    own = [SharedFile(log_file(str(tmp_path), name)["filename"]) for name in LOG_FILES]
    forced: Counter[str] = Counter()
    deadline = time.monotonic() + 120
    while any(each.poll() is None for each in writers):
        assert time.monotonic() < deadline
        for file in own:
            if file.path.exists() and file.path.stat().st_size > 20_000:
                forced[file.path.name] += file.rotate()
        time.sleep(0.05)
    assert [each.returncode for each in writers] == [0] * len(writers)
    for file in own:
        tidied(file)
        lines = [json.loads(line) for line in everything(file.path)]
        written = Counter(
            (line["writer"], line["event"], line["number"]) for line in lines if "writer" in line
        )
        subjects = 5 if file.path.stem == "combined" else 1
        assert len(written) == PROCESSES * LINES * subjects, file.path
        assert set(written.values()) == {1}
        assert len({line["writer"] for line in lines if "writer" in line}) == PROCESSES
        past = log_archive.rotated(file.path)
        assert len(past) >= ROTATIONS, (file.path, forced)
        assert {each.suffix for each in past} == {".gz"}
        file.close()
    assert sum(forced.values()) >= ROTATIONS


def test_a_long_file_is_rotated_and_compressed(shared):
    shared.most_bytes = 100
    for number in range(20):
        say(shared, f"line {number}")
    past = tidied(shared)
    assert len(past) == 1
    date = time.strftime("%Y-%m-%d", time.gmtime(time.time() + log_archive.KATHMANDU))
    assert past[0].name == f"combined-{date}.001.log.gz"
    assert everything(shared.path) == [f"line {number}" for number in range(20)]
    assert shared.path.stat().st_mode & 0o777 == past[0].stat().st_mode & 0o777 == 0o640


def test_the_first_line_of_a_day_begins_a_new_file_named_by_the_old_ones_day(shared):
    say(shared, "yesterday's")
    moment = time.time() - DAY
    os.utime(shared.path, (moment, moment))
    say(shared, "today's")
    say(shared, "today's too")
    assert shared.path.read_text() == "today's\ntoday's too\n"
    [past] = {file.name.removesuffix(".gz") for file in log_archive.rotated(shared.path)}
    date = time.strftime("%Y-%m-%d", time.gmtime(moment + log_archive.KATHMANDU))
    assert past == f"combined-{date}.001.log"


@pytest.mark.parametrize(
    ("moment", "day"),
    [
        ("2026-11-26T18:14:59+00:00", 20783),  # 23:59:59 in Kathmandu
        ("2026-11-26T18:15:00+00:00", 20784),
    ],
)
def test_a_day_begins_at_midnight_in_kathmandu(moment, day):
    assert log_archive.day(datetime.fromisoformat(moment).timestamp()) == day


def test_what_is_older_than_it_is_kept_is_deleted_and_nothing_else(shared):
    shared.kept_days = 14
    say(shared, "now")
    directory = shared.path.parent
    files = {
        "combined-2026-01-01.001.log": 15,
        "combined-2026-01-01.002.log.gz": 15,
        "combined-2026-01-02.001.log.gz": 13,
        "combined-2026-01-02.log": 15,
        "error-2026-01-01.001.log.gz": 15,
        "somebody's.txt": 99,
    }
    for name, days in files.items():
        (directory / name).write_bytes(b"x\n")
        moment = time.time() - days * DAY
        os.utime(directory / name, (moment, moment))
    shared.tidy()
    left = {file.name for file in directory.iterdir() if not file.name.startswith(".")}
    assert left == {*list(files)[2:], "combined.log"}


def test_a_file_is_not_compressed_while_somebody_writes_to_it(shared):
    say(shared, "one")
    with shared.path.open("ab") as other, log_files.only_one(shared.path, "tidying"):
        fcntl.flock(other, fcntl.LOCK_SH)  # somebody found it before it was renamed
        assert shared.rotate()
        time.sleep(0.1)  # for the thread, to find that another is at it
        [past] = log_archive.rotated(shared.path)
        assert log_archive.compress(past) is False
        other.write(b"two\n")
        other.flush()
        fcntl.flock(other, fcntl.LOCK_UN)
    assert log_archive.compress(past) is True
    assert everything(shared.path) == ["one", "two"]


def test_a_compression_that_broke_off_is_done_again(shared):
    say(shared, "one")
    with log_files.only_one(shared.path, "tidying"):  # the thread finds that another is at it
        assert shared.rotate()
        time.sleep(0.1)
    [past] = log_archive.rotated(shared.path)
    past.with_name(f"{past.name}.part").write_bytes(b"half")
    past.with_name(f"{past.name}.gz").write_bytes(b"broken")
    tidied(shared)
    assert everything(shared.path) == ["one"]
    assert [file.suffix for file in log_archive.rotated(shared.path)] == [".gz"]
    assert not list(shared.path.parent.glob("*.part"))


def test_names_of_one_day_are_counted_up(shared):
    for number in range(12):
        say(shared, str(number))
        assert shared.rotate()
    numbers = [file.name.split(".")[1] for file in tidied(shared)]
    assert numbers == [f"{number:03d}" for number in range(1, 13)]
    assert everything(shared.path) == [str(number) for number in range(12)]


def test_an_empty_file_is_not_rotated(shared):
    say(shared, "one")
    shared.path.write_bytes(b"")
    shared.rotate()
    assert log_archive.rotated(shared.path) == []


def test_a_directory_that_is_gone_is_made_again(shared):
    say(shared, "one")
    shutil.rmtree(shared.path.parent)
    say(shared, "two")
    assert shared.path.read_text() == "two\n"
    assert shared.lost == 0


def test_a_file_that_cannot_be_written_costs_its_lines_and_says_so_once(shared, capsys):
    shared.path.parent.write_text("in the way")
    watch = Stopwatch()
    for _ in range(1000):
        say(shared, "lost")
    assert watch.seconds < 0.9
    assert shared.lost == 1000
    said = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [(line["event"], line["error"]) for line in said] == [
        ("log_file.failed", "Not a directory")
    ]
    shared.path.parent.unlink()
    shared._failed_at -= log_files.AGAIN_SECONDS
    say(shared, "back")
    assert shared.path.read_text() == "back\n"


def test_a_full_disk_leaves_whole_lines_only(tmp_path):
    """The limit on a file's size cuts a write short as a full disk does; in a child, for it stays."""
    path = tmp_path / "combined.log"
    child = os.fork()
    if child == 0:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, resource.RLIM_INFINITY))
        file = SharedFile(str(path))
        for _ in range(5):
            file._failed_at = float("-inf")
            say(file, "x" * 29)
        os._exit(file.lost)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 2
    assert path.read_text() == f"{'x' * 29}\n" * 3


def test_somebody_who_keeps_the_file_locked_delays_a_line_for_a_moment_only(shared):
    say(shared, "one")
    with shared.path.open("ab") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        watch = Stopwatch()
        say(shared, "two")
        assert watch.seconds < 2
    assert shared.lost == 1
    assert shared.path.read_text() == "one\n"


def test_a_number_that_became_another_files_is_neither_written_nor_closed(shared, tmp_path):
    say(shared, "one")
    number = shared._file
    os.close(number)
    other = os.open(tmp_path / "other", os.O_WRONLY | os.O_CREAT)
    if other != number:
        os.dup2(other, number)
    say(shared, "lost")
    assert os.fstat(number).st_ino == (tmp_path / "other").stat().st_ino
    for each in {other, number}:
        os.close(each)
    assert (tmp_path / "other").read_bytes() == b""
    shared._failed_at -= log_files.AGAIN_SECONDS
    say(shared, "two")
    assert shared.path.read_text() == "one\ntwo\n"


def test_a_file_closed_by_somebody_is_opened_again(shared):
    say(shared, "one")
    os.close(shared._file)
    say(shared, "lost")
    shared._failed_at -= log_files.AGAIN_SECONDS
    say(shared, "two")
    assert shared.lost == 1
    assert shared.path.read_text() == "one\ntwo\n"


def test_a_file_moved_away_by_hand_is_begun_anew(shared):
    say(shared, "one")
    shared.path.rename(shared.path.with_name("mine"))
    say(shared, "two")
    assert shared.path.read_text() == "two\n"


def test_a_line_that_cannot_be_formatted_hurts_nobody(shared):
    class Broken(logging.Formatter):
        def format(self, record):
            raise OSError(errno.EIO, "no")

    shared.setFormatter(Broken())
    say(shared, "x")
    assert shared.lost == 1


def test_rotate_logs_by_hand(shared, monkeypatch):
    monkeypatch.setattr(log_files, "files", lambda: [shared])
    with pytest.raises(CommandError, match="LOG_DIR"):
        call_command("rotate_logs")
    say(shared, "one")
    told = StringIO()
    call_command("rotate_logs", "--dry-run", stdout=told)
    assert told.getvalue() == f"{shared.path}: 0 older files, 0.0 MiB, kept 30 days\n"
    told = StringIO()
    call_command("rotate_logs", stdout=told)
    assert told.getvalue() == f"{shared.path}: 1 older files, 0.0 MiB, kept 30 days\n"
    tidied(shared)
    assert everything(shared.path) == ["one"]
    assert not shared.path.exists()
