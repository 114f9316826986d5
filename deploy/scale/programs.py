"""nginx and PgBouncer of the system, installed where we may."""

import os
import shutil
from pathlib import Path

from deploy.local import installs
from deploy.local.files import SetupError

SYSTEM = ":/usr/sbin:/usr/local/sbin:/sbin"  # not in an ordinary user's PATH


def find(name: str) -> Path | None:
    """Return the program, or None."""
    found = shutil.which(name, path=os.environ.get("PATH", "/usr/bin:/bin") + SYSTEM)
    return Path(found) if found else None


def obtain(name: str) -> Path:
    """Return the program, after installing its package when it is missing. Raises SetupError."""
    found = find(name) or (find(name) if installs.from_debian(name) else None)
    if found is None:
        raise SetupError(
            f"{name} is needed and cannot be installed from here: it takes root, or sudo without a"
            f" password.\nOnce: sudo apt-get install {name}; then the same command again."
        )
    return found
