"""The primary and its streaming replica, from deploy/postgresql/khaacho.conf."""

import shutil
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import psycopg

from deploy.local import postgres
from deploy.local.accounts import Account, give, make_home
from deploy.local.files import SetupError, say
from deploy.local.installs import reachable
from deploy.local.postgres import DATABASE, ENVIRON, SUPERUSER, Binaries
from deploy.scale import templates
from deploy.scale.layout import ScaleLayout

SLOT = "khaacho_replica"
STREAMING_SECONDS = 20.0
CONF = "khaacho.conf"
NEEDS_ROLE = "khaacho_replication"


def home_of(layout: ScaleLayout, name: str) -> Path:
    """Return the directory of `primary` or `replica`."""
    return layout.servers / name


def url_of(home: Path, role: str = SUPERUSER) -> str:
    """Return how to reach a server directly, by its socket."""
    return f"postgresql://{role}@/{DATABASE}?host={home}"


def start_primary(layout: ScaleLayout, binaries: Binaries, account: Account | None) -> str:
    """Bring the primary up with its roles and return its URL. Raises SetupError."""
    home = home_of(layout, "primary")
    make_home(home, account)
    url = postgres.start(home, binaries, account, durable=True, settings=_settings(home, account))
    psql = str(binaries.directory / "psql")
    command = [psql, "-X", "-q", "-v", "ON_ERROR_STOP=1", "-h", str(home), "-U", SUPERUSER]
    roles = templates.FILES / "postgresql" / "roles.sql"
    result = subprocess.run(
        [*command, "-d", DATABASE],
        input=roles.read_text(),
        env={**ENVIRON, "PGOPTIONS": "-c client_min_messages=warning"},
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode:
        raise SetupError(f"deploy/postgresql/roles.sql failed:\n{result.stderr.strip()[-800:]}")
    return url


def start_replica(layout: ScaleLayout, binaries: Binaries, account: Account | None) -> str:
    """Bring the replica up, copied first where it is missing or was left behind; return its URL."""
    primary, home = home_of(layout, "primary"), home_of(layout, "replica")
    make_home(home, account)
    for _ in range(2):
        data = home / f"pg{binaries.major}"
        if not (data / "standby.signal").exists():
            shutil.rmtree(data, ignore_errors=True)
            _copy(primary, data, binaries, account)
        with suppress(SetupError):
            postgres.start(home, binaries, account, durable=True, settings=_settings(home, account))
            if _is_streaming(home):
                return url_of(home)
        say("the replica does not follow: copying it anew")
        postgres.daemon(home).stop()
        shutil.rmtree(data, ignore_errors=True)
    raise SetupError(f"the replica does not follow the primary; its log: {home / postgres.LOG}")


def _settings(home: Path, account: Account | None) -> Mapping[str, str]:
    """Return what a server is told besides its file: where it listens."""
    conf = home / CONF
    templates.write(templates.FILES / "postgresql" / CONF, conf, {}, account)
    return {
        "config_file": str(conf),
        "listen_addresses": "",
        "unix_socket_permissions": "0700",
    }


def _copy(primary: Path, data: Path, binaries: Binaries, account: Account | None) -> None:
    """Copy the primary while it runs, to a name that only a whole copy gets."""
    say("copying the primary for its replica")
    draft = data.with_name(f"{data.name}.new")
    shutil.rmtree(draft, ignore_errors=True)
    with psycopg.connect(url_of(primary), autocommit=True) as connection:
        connection.execute(
            "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots"
            " WHERE slot_name = %s AND NOT active",
            [SLOT],
        )
    postmaster = reachable(
        binaries.directory / "postgres", binaries.directory.parent, primary, account
    )
    program = postmaster.with_name("pg_basebackup")
    options = ["-X", "stream", "-R", "-C", "-S", SLOT, "--checkpoint=fast", "--no-sync"]
    postgres.run_as(account, program, "-h", primary, "-U", NEEDS_ROLE, "-D", draft, *options)
    draft.rename(data)
    give(data, account)


def _is_streaming(home: Path) -> bool:
    deadline = time.monotonic() + STREAMING_SECONDS
    while time.monotonic() < deadline:
        with suppress(psycopg.OperationalError), psycopg.connect(url_of(home)) as connection:
            row = connection.execute("SELECT status FROM pg_stat_wal_receiver").fetchone()
            if row and row[0] == "streaming":
                return True
        time.sleep(0.2)
    return False


def wait_for_replay(primary_url: str, replica_url: str, seconds: float = 60.0) -> str:
    """Wait until the replica has what the primary has now; return what is missing, or nothing."""
    with psycopg.connect(primary_url) as connection:
        row = connection.execute("SELECT pg_current_wal_lsn()::text").fetchone()
        assert row
    deadline = time.monotonic() + seconds
    with psycopg.connect(replica_url, autocommit=True) as connection:
        while time.monotonic() < deadline:
            behind = connection.execute(
                "SELECT pg_wal_lsn_diff(%s::pg_lsn, pg_last_wal_replay_lsn())", [row[0]]
            ).fetchone()
            if behind and behind[0] is not None and behind[0] <= 0:
                return ""
            time.sleep(0.1)
    return f"the replica has not replayed {row[0]} within {seconds:g} s"


def lists_read(replica_url: str) -> int:
    """Return how often the site has read orders from the replica since its statistics began."""
    with psycopg.connect(replica_url) as connection:
        row = connection.execute(
            "SELECT coalesce(sum(calls), 0) FROM pg_stat_statements"
            " WHERE toplevel AND query LIKE '%orders%' AND query LIKE '%retailer%'"
        ).fetchone()
    return int(row[0]) if row else 0
