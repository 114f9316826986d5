"""Dockerfile and compose.yaml: well formed by their own linters, complete, and as closed as they claim."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.apps import apps
from django.conf import settings

from deploy import render
from deploy.local.files import LAYOUT
from deploy.scale import site, templates

ROOT = LAYOUT.checkout
DOCKERFILE = (ROOT / "Dockerfile").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
ONCE = {"migrate"}
OWN_HEALTHCHECK = {"edge", "pgbouncer"}  # in the image


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_the_dockerfile_passes_hadolint() -> None:
    hadolint = Path(sys.executable).with_name("hadolint")

    result = run(str(hadolint), "Dockerfile")

    assert (result.returncode, result.stdout) == (0, "")


def test_compose_follows_the_specification() -> None:
    result = run(
        sys.executable,
        "-m",
        "check_jsonschema",
        "--builtin-schema",
        "vendor.compose-spec",
        "compose.yaml",
    )

    assert result.returncode == 0, result.stdout + result.stderr


def test_a_mistake_in_compose_would_be_seen(tmp_path: Path) -> None:
    wrong = tmp_path / "compose.yaml"
    wrong.write_text(
        (ROOT / "compose.yaml").read_text().replace("restart: unless", "restrat: unless")
    )

    result = run(
        sys.executable,
        "-m",
        "check_jsonschema",
        "--builtin-schema",
        "vendor.compose-spec",
        str(wrong),
    )

    assert result.returncode == 1
    assert "restrat" in result.stdout


def stage(name: str) -> str:
    """Return the part of the Dockerfile that makes this stage."""
    found = re.search(
        rf"^FROM \S+ AS {name}$(.*?)(?=^FROM |\Z)", DOCKERFILE, re.MULTILINE | re.DOTALL
    )
    assert found, name
    return found[1]


@pytest.mark.parametrize("name", ["app", "edge", "pgbouncer"])
def test_no_image_runs_as_root_and_each_says_how_it_is(name: str) -> None:
    users = re.findall(r"^USER (\S+)$", stage(name), re.MULTILINE)

    assert users
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", users[-1])
    assert re.search(r"^HEALTHCHECK --interval=", stage(name), re.MULTILINE)
    assert re.search(r"^STOPSIGNAL SIG", stage(name), re.MULTILINE)


def test_the_image_has_every_app_and_all_that_it_copies_exists() -> None:
    copied = [line.split()[1:-1] for line in DOCKERFILE.splitlines() if line.startswith("COPY ")]
    sources = {s for line in copied for s in line if not s.startswith("--")}
    ours = {s for s in sources if not s.startswith("/")}
    own = {config.name for config in apps.get_app_configs() if Path(config.path).parent == ROOT}

    assert own <= ours
    assert [name for name in ours if not (ROOT / name).exists()] == []


def test_only_what_the_dockerfile_copies_reaches_the_builder() -> None:
    lines = (ROOT / ".dockerignore").read_text().split()
    allowed = {line[1:] for line in lines if line.startswith("!")}
    copied = {
        source
        for line in DOCKERFILE.splitlines()
        if line.startswith("COPY ") and "--from" not in line
        for source in line.split()[1:-1]
        if not source.startswith("--")
    }

    assert "*" in lines
    assert all(any(s == a or s.startswith(f"{a}/") for a in allowed) for s in copied), copied


def test_the_lock_with_hashes_is_the_lock() -> None:
    def pins(text: str) -> set[str]:
        return set(re.findall(r"^([A-Za-z0-9._-]+==[^\s;\\]+)", text, re.MULTILINE))

    hashed = (ROOT / "deploy" / "requirements.lock").read_text()

    assert pins(hashed) == pins((ROOT / "requirements.txt").read_text())
    assert hashed.count("--hash=sha256:") >= len(pins(hashed))


def test_nothing_but_the_edge_can_be_reached_from_outside() -> None:
    assert [name for name, service in SERVICES.items() if "ports" in service] == ["edge"]
    assert [
        name for name, s in SERVICES.items() if s.get("network_mode") or s.get("privileged")
    ] == []


@pytest.mark.parametrize("name", sorted(SERVICES.keys() - ONCE))
def test_every_service_comes_back_shows_its_health_and_has_its_bounds(name: str) -> None:
    service = SERVICES[name]

    assert service["restart"] == "unless-stopped"
    assert name in OWN_HEALTHCHECK or service["healthcheck"]["test"]
    assert service["deploy"]["resources"]["limits"].keys() >= {"cpus", "memory"}
    assert "no-new-privileges:true" in service["security_opt"]
    assert service["logging"]["options"]["max-size"]


def test_who_depends_on_whom_is_there_and_is_waited_for() -> None:
    for name, service in SERVICES.items():
        for other, how in service.get("depends_on", {}).items():
            assert other in SERVICES, (name, other)
            expected = "service_completed_successfully" if other in ONCE else "service_healthy"
            assert how["condition"] == expected, (name, other)


def test_secrets_are_files_and_none_stands_here() -> None:
    used = {secret for service in SERVICES.values() for secret in service.get("secrets", [])}

    assert used == COMPOSE["secrets"].keys()
    assert all(list(secret) == ["file"] for secret in COMPOSE["secrets"].values())
    text = (ROOT / "compose.yaml").read_text()
    assert not re.search(r"PASSWORD:|SECRET_KEY:|://[^\s:]+:[^\s@$]+@", text)


def queues(service: dict[str, Any]) -> list[str]:
    command = service["command"]
    return str(command[command.index("-Q") + 1]).split(",") if "-Q" in command else []


def test_every_queue_has_a_worker_in_compose_in_systemd_and_in_the_demo() -> None:
    known = sorted(queue.name for queue in settings.CELERY_TASK_QUEUES)
    always = [s for s in SERVICES.values() if "-Q" in s.get("command", []) and "profiles" not in s]
    units = [path.read_text() for path in (ROOT / "deploy" / "systemd").glob("worker-*.env")]
    by_units = [
        line[7:].split(",") for text in units for line in text.split() if line[:7] == "QUEUES="
    ]

    assert sorted(queue for service in always for queue in queues(service)) == known
    assert sorted(queue for group in by_units for queue in group) == known
    assert sorted(queue for group in site.QUEUES.values() for queue in group.split(",")) == known


def test_the_profile_adds_what_scales_and_what_it_names_exists() -> None:
    scaled = {name for name, service in SERVICES.items() if service.get("profiles") == ["scale"]}
    values = templates.read_values(ROOT / "deploy" / "compose" / "scale.env")

    assert scaled == {"web-2", "replica", "worker-trade-2"}
    assert values == {"COMPOSE_PROFILES": "scale", "WEB_2": "web-2:8000"}


@pytest.mark.parametrize("server", ["nginx", "pgbouncer"])
def test_every_name_in_a_template_has_a_value(server: str) -> None:
    folder = ROOT / "deploy" / server
    asked = {
        name
        for path in folder.iterdir()
        if path.suffix != ".env"
        for name in templates.names(path.read_text())
    }
    [given] = folder.glob("*.env")

    assert asked == templates.read_values(given).keys()


def test_files_that_are_mounted_exist() -> None:
    mounts = [v for service in SERVICES.values() for v in service.get("volumes", [])]
    files = [v.split(":")[0] for v in mounts if v.startswith("./")]

    assert len(files) >= 6
    assert [file for file in files if not (ROOT / file).is_file()] == []


def test_secrets_are_made_once_and_are_their_owners_alone(tmp_path: Path) -> None:
    place = tmp_path / "deploy" / "compose"
    place.mkdir(parents=True)
    script = place / "secrets.sh"
    script.write_text((ROOT / "deploy" / "compose" / "secrets.sh").read_text())
    made = tmp_path / "secrets"

    first = run("sh", str(script))
    before = {path.name: path.read_text() for path in made.iterdir()}
    second = run("sh", str(script))

    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    assert {path.name: path.read_text() for path in made.iterdir()} == before
    assert {path.stat().st_mode & 0o777 for path in made.iterdir()} == {0o600}
    named = {Path(secret["file"]).name for secret in COMPOSE["secrets"].values()}
    assert named | {"khaacho.env", "direct.env"} <= before.keys()
    assert before["khaacho_database"] in before["khaacho.env"]


@pytest.mark.parametrize(
    "script", sorted(p.relative_to(ROOT).as_posix() for p in (ROOT / "deploy").rglob("*.sh"))
)
def test_scripts_can_be_read(script: str) -> None:
    shell = "bash" if "bash" in (ROOT / script).read_text().splitlines()[0] else "sh"

    assert run(shell, "-n", script).returncode == 0


@pytest.mark.parametrize("server", ["nginx", "pgbouncer"])
def test_render_writes_every_file_with_its_values(server: str, tmp_path: Path) -> None:
    values = tmp_path / "values.env"
    values.write_text("SITE_NAMES=khaacho.test\nDB_NAME=trade\n")

    assert render.main([server, str(tmp_path), "WEB_1=10.0.0.1:8001", "--values", str(values)]) == 0

    written = {path.name: path.read_text() for path in tmp_path.iterdir() if path != values}
    sources = {path.name for path in (ROOT / "deploy" / server).iterdir() if path.suffix != ".env"}
    assert written.keys() == sources - {"tls.conf"}
    assert not any(render.names(text) for text in written.values())
    whole = "\n".join(written.values())
    told = {
        "nginx": ("server 10.0.0.1:8001", "server_name khaacho.test"),
        "pgbouncer": ("dbname=trade",),
    }
    assert all(part in whole for part in told[server])


def test_render_writes_nothing_without_a_value(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert render.main(["nginx", str(tmp_path / "new"), "WEB_1"]) == 1
    assert render.main(["nginx", str(tmp_path / "new"), "--values", str(tmp_path / "none")]) == 1

    assert not (tmp_path / "new").exists()
    assert capsys.readouterr().err.count("render: ") == 2
