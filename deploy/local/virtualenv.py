"""Make `.venv` what the requirements say. Run by any Python 3.11, so: the standard library only."""

import fcntl
import hashlib
import json
import os
import platform
import subprocess
import sys
import venv
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
RUNTIME = ("requirements.txt",)
DEVELOPMENT = ("requirements.txt", "requirements-dev.txt")
WANTED_BY = {"test": DEVELOPMENT, "check": DEVELOPMENT, "load": DEVELOPMENT}
STAMP = ".khaacho.json"
PRINT_VERSION = "import pip, platform; print(platform.python_version())"


def python_version(environment: Path) -> str:
    """Return the version of the environment's Python, or nothing when it does not work."""
    try:
        result = subprocess.run(
            [environment / "bin" / "python", "-c", PRINT_VERSION],
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return ""
    return result.stdout.strip()


def is_sound(checkout: Path) -> bool:
    """Return whether the checkout's environment works, in its place, with the Python it was made of.

    One without a stamp, which somebody made by hand, only has to work.
    """
    environment = checkout / ".venv"
    version, known = python_version(environment), _read(environment / STAMP)
    expected = {"checkout": str(checkout), "python": version}
    return bool(version) and all(known.get(key, expected[key]) == expected[key] for key in expected)


def ensure(checkout: Path, files: tuple[str, ...]) -> None:
    """Make or complete the environment; do nothing when its stamp says that it is as wanted.

    Two commands at once wait for each other.
    """
    environment = checkout / ".venv"
    (checkout / "var").mkdir(exist_ok=True)
    with (checkout / "var" / "venv.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not is_sound(checkout):
            _say(f"making .venv with Python {platform.python_version()}")
            venv.create(environment, clear=True, with_pip=True, symlinks=True)
        known = _read(environment / STAMP)
        wanted = {name: _digest(checkout / name) for name in files}
        if any(known.get(name) != digest for name, digest in wanted.items()):
            _install(environment, [checkout / name for name in files])
            home = {"checkout": str(checkout), "python": python_version(environment)}
            draft = environment / f"{STAMP}.{os.getpid()}"
            draft.write_text(json.dumps({**known, **home, **wanted}))
            draft.replace(environment / STAMP)


def _say(text: str) -> None:
    print(f"[khaacho] {text}", file=sys.stderr, flush=True)


def _read(stamp: Path) -> dict[str, str]:
    try:
        known = json.loads(stamp.read_text())
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _install(environment: Path, files: list[Path]) -> None:
    _say("installing " + " and ".join(path.name for path in files))
    pip = [str(environment / "bin" / "python"), "-m", "pip", "install", "-qq", "--no-input"]
    options = [option for path in files for option in ("-r", str(path))]
    subprocess.run([*pip, "--disable-pip-version-check", *options], check=True)


if __name__ == "__main__":
    try:
        ensure(CHECKOUT, WANTED_BY.get(sys.argv[1], RUNTIME))
    except subprocess.CalledProcessError as error:
        sys.exit(error.returncode)
