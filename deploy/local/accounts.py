"""Who the private servers run as: PostgreSQL refuses root."""

import os
import pwd
import shutil
import stat
from dataclasses import dataclass
from pathlib import Path

from deploy.local.files import SetupError

SERVER_ACCOUNTS = ("postgres", "nobody")


@dataclass(frozen=True)
class Account:
    """A Unix user."""

    name: str
    uid: int
    gid: int


def _known() -> list[Account]:
    found = []
    for name in SERVER_ACCOUNTS:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        found.append(Account(name, entry.pw_uid, entry.pw_gid))
    return found


def server_account(home: Path) -> Account | None:
    """Return the account for the servers of `home`, or None to run them as ourselves.

    Data that is there keeps its owner, because an installation may have made `postgres` since.
    Raises SetupError when root finds neither account.
    """
    if os.geteuid():
        return None
    accounts = _known()
    if not accounts:
        raise SetupError("root needs the user postgres or nobody to run PostgreSQL as")
    owner = home.stat().st_uid if home.exists() else None
    return next((account for account in accounts if account.uid == owner), accounts[0])


def make_home(home: Path, account: Account | None) -> None:
    """Make the servers' directory, theirs alone; refuse one that somebody else made."""
    home.parent.mkdir(parents=True, exist_ok=True)
    home.mkdir(mode=0o700, exist_ok=True)
    if not is_ours(home):
        raise SetupError(f"{home} belongs to somebody else: remove it and try again")
    home.chmod(0o700)
    give(home, account)


def is_ours(home: Path) -> bool:
    """Whether there is such a servers' directory, and it belongs to us or to who runs our servers."""
    try:
        found = home.lstat()
    except FileNotFoundError:
        return False
    owners = {os.geteuid()} if os.geteuid() else {0, *(account.uid for account in _known())}
    return stat.S_ISDIR(found.st_mode) and found.st_uid in owners


def give(path: Path, account: Account | None) -> None:
    """Make the account the owner of the file or directory."""
    if account:
        shutil.chown(path, account.uid, account.gid)
