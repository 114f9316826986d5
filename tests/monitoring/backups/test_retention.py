"""What is forgotten goes by the name's date; what proved itself last, and the newest, never goes."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from monitoring.backups import retention, shelf
from monitoring.backups.retention import Candidate

NOW = datetime(2026, 11, 27, 2, 0, tzinfo=ZoneInfo("Asia/Kathmandu"))


def name(days: float) -> str:
    return shelf.name_of(NOW - timedelta(days=days))


def forgotten(*given: tuple[float, bool], days: int = 7) -> list[str]:
    return retention.outdated([Candidate(name(d), v) for d, v in given], days=days, now=NOW)


@pytest.mark.parametrize(
    ("given", "gone"),
    [
        ([], []),
        ([(0, False), (6.9, False), (7.1, False)], [7.1]),
        ([(30, False)], []),  # the newest, however old
        ([(8, False), (9, False), (10, False)], [10, 9]),
        ([(0, False), (8, False), (9, True), (10, True)], [10, 8]),  # 9 proved itself last
        ([(0, True), (8, False), (9, True)], [9, 8]),
        ([(7, False), (0, False)], []),  # seven days to the second are not over
    ],
)
def test_what_goes(given, gone):
    assert forgotten(*given) == [name(days) for days in gone]


def test_names_that_are_none_of_ours_stay():
    strangers = [Candidate("khaacho_backup_2026-13-45_99-00-00", False), Candidate("notes", False)]
    found = [*strangers, Candidate(name(0), False), Candidate(name(20), False)]
    assert retention.outdated(found, days=7, now=NOW) == [name(20)]


def test_files_without_a_manifest_go_when_their_date_is_past(tmp_path):
    for days in (1, 9):
        (tmp_path / f"{name(days)}.dump.zst").write_bytes(b"x")
    (tmp_path / "khaacho_backup_of_my_own.txt").write_text("mine")
    (tmp_path / f"{name(20)}.json").write_text("{damaged")
    (tmp_path / f"{name(20)}.dump.zst").write_bytes(b"x")
    would = retention.apply(tmp_path, days=7, now=NOW, dry_run=True)
    assert len(list(tmp_path.iterdir())) == 5
    assert retention.apply(tmp_path, days=7, now=NOW) == would == [name(9)]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        [
            f"{name(1)}.dump.zst",
            "khaacho_backup_of_my_own.txt",
            f"{name(20)}.dump.zst",
            f"{name(20)}.json",
        ]
    )
