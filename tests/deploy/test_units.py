"""systemd's units: read by systemd itself, and as closed as it counts."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.local.files import LAYOUT

UNITS = LAYOUT.checkout / "deploy" / "systemd"
SERVICES = sorted(path.name for path in UNITS.glob("*.service"))
MOST_EXPOSED = 25  # of 100, by `systemd-analyze security`; a unit without hardening has 96
needs_systemd = pytest.mark.skipif(
    not shutil.which("systemd-analyze"), reason="systemd-analyze is not installed"
)


@pytest.fixture
def units(tmp_path: Path) -> Path:
    """Give the units with programs, a user and directories that this machine has."""
    for path in filter(Path.is_file, UNITS.iterdir()):
        text = path.read_text().replace("/opt/khaacho/venv/bin", str(Path(sys.executable).parent))
        (tmp_path / path.name).write_text(text.replace("/opt/khaacho/site", str(LAYOUT.checkout)))
    return tmp_path


@needs_systemd
def test_systemd_reads_every_unit_without_a_word(units: Path) -> None:
    names = [path for path in units.iterdir() if path.suffix in {".service", ".timer", ".target"}]
    instances = [str(p).replace("@.", "@8001." if "web" in p.name else "@trade.") for p in names]
    for template, instance in zip(names, instances, strict=True):
        if str(template) != instance:
            shutil.copy(template, instance)

    result = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *instances],
        capture_output=True,
        text=True,
        check=False,
    )

    ours = [line for line in result.stderr.splitlines() if "khaacho" in line]
    assert ours == []


@needs_systemd
@pytest.mark.parametrize("name", SERVICES)
def test_services_are_as_closed_as_systemd_counts(units: Path, name: str) -> None:
    result = subprocess.run(
        [
            "systemd-analyze",
            "security",
            "--offline=true",
            f"--threshold={MOST_EXPOSED}",
            str(units / name),
        ],
        capture_output=True,
        text=True,
        check=False,
    )

    assert result.returncode == 0, result.stdout[-600:] + result.stderr


@pytest.mark.parametrize("name", [n for n in SERVICES if "verify" not in n])
def test_a_service_comes_back_for_ever_and_is_given_time_to_stop(name: str) -> None:
    text = (UNITS / name).read_text()

    assert "\nRestart=always\n" in text
    assert "\nStartLimitIntervalSec=0\n" in text.partition("[Service]")[0]
    seconds = re.search(r"^TimeoutStopSec=(\d+)$", text, re.MULTILINE)
    assert seconds
    assert (
        int(seconds[1])
        >= {"web": 36, "worker": 95, "beat": 10}[name.split("-")[1].split("@")[0].split(".")[0]]
    )


def test_the_target_starts_every_part() -> None:
    wanted = re.findall(
        r"(khaacho-[\w@]+)\.(service|timer)", (UNITS / "khaacho.target").read_text()
    )
    parts = {re.sub(r"@\w+", "@", name) for name, _ in wanted}

    assert parts == {"khaacho-web@", "khaacho-worker@", "khaacho-beat", "khaacho-verify"}
