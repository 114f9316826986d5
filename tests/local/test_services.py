import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import psycopg
import pytest
import redis

from deploy.local import postgres, redis_server
from deploy.local.accounts import server_account
from deploy.local.files import LAYOUT, Layout, SetupError
from deploy.local.processes import Identity, recall, wait_until
from deploy.local.services import (
    Services,
    bring_up,
    ephemeral,
    scratch_database,
    shut_down,
    wait_for_database,
    wait_for_redis,
)


def home_of(services: Services) -> Path:
    return Path(parse_qs(urlsplit(services.database_url).query)["host"][0])


def identities(home: Path) -> list[Identity]:
    found = [recall(postgres.daemon(home).pid_file), recall(redis_server.daemon(home).pid_file)]
    assert all(found)
    return [identity for identity in found if identity]


def setting(url: str, name: str) -> str:
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT current_setting(%s)", [name]).fetchone()
    assert row is not None
    return str(row[0])


def databases(url: str) -> set[str]:
    with psycopg.connect(url) as connection:
        return {name for (name,) in connection.execute("SELECT datname FROM pg_database")}


def test_a_scratch_database_is_new_and_goes_again(services: Services) -> None:
    before = databases(services.database_url)
    for _ in range(2):
        with scratch_database(services.database_url) as url, psycopg.connect(url) as connection:
            assert databases(services.database_url) - before == {connection.info.dbname}
            connection.execute("CREATE TABLE left_over ()")

    assert databases(services.database_url) == before


def test_servers_have_the_settings_that_the_site_needs(services: Services) -> None:
    assert setting(services.database_url, "shared_preload_libraries") == "pg_stat_statements"
    assert setting(services.database_url, "track_io_timing") == "on"
    assert setting(services.database_url, "max_connections") == "200"
    with redis.Redis.from_url(services.redis_url) as client:
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}


def test_redis_wants_its_password(services: Services) -> None:
    url = f"redis://127.0.0.1:{urlsplit(services.redis_url).port}/0"
    with (
        redis_server.connect(url, seconds=5) as stranger,
        pytest.raises(redis.AuthenticationError),
    ):
        stranger.ping()


def test_servers_run_as_their_account_and_never_as_root(services: Services) -> None:
    home = home_of(services)
    account = server_account(home)
    expected = account.uid if account else os.geteuid()

    assert expected != 0
    for identity in identities(home):
        assert Path(f"/proc/{identity.pid}").stat().st_uid == expected
    assert home.stat().st_mode & 0o777 == 0o700


def test_two_at_once_do_not_meet_and_leave_nothing(services: Services) -> None:
    with ephemeral({}, "testing") as other:
        home = home_of(other)
        assert home != home_of(services)
        assert other.redis_url != services.redis_url
        pids = [identity.pid for identity in identities(home)]

    assert not home.exists()
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)
    wait_for_database(services.database_url, seconds=0)


def test_nothing_outlives_a_killed_command() -> None:
    script = (
        "import time\n"
        "from deploy.local.services import ephemeral\n"
        "with ephemeral({}, 'killed') as services:\n"
        "    print(services.database_url, services.redis_url, flush=True)\n"
        "    time.sleep(60)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], cwd=LAYOUT.checkout, stdout=subprocess.PIPE, text=True
    ) as command:
        assert command.stdout is not None
        started = Services(*command.stdout.readline().split())
        home = home_of(started)
        pids = [identity.pid for identity in identities(home)]
        command.send_signal(signal.SIGKILL)

    assert wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids), 10)
    with ephemeral({"DATABASE_URL": "", "REDIS_URL": ""}, "killed"):
        assert not home.exists()


def test_given_servers_are_used_as_they_are(services: Services, tmp_path: Path) -> None:
    given = {"DATABASE_URL": services.database_url, "REDIS_URL": services.redis_url}

    assert bring_up(tmp_path / "servers", given, durable=True) == services

    assert not (tmp_path / "servers").exists()


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("postgresql://khaacho:secret@127.0.0.1:1/khaacho", "DATABASE_URL is set, but: "),
        ("nonsense", "DATABASE_URL cannot be read: "),
    ],
)
def test_an_unusable_database_is_named(url: str, message: str) -> None:
    with pytest.raises(SetupError, match=f"^{message}") as refusal:
        wait_for_database(url, seconds=0)

    assert "secret" not in str(refusal.value)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("redis://:secret@127.0.0.1:1/0", "REDIS_URL is set, but: "),
        ("nonsense", "REDIS_URL cannot be read: "),
    ],
)
def test_an_unusable_redis_is_named(url: str, message: str) -> None:
    with pytest.raises(SetupError, match=f"^{message}") as refusal:
        wait_for_redis(url, seconds=0)

    assert "secret" not in str(refusal.value)


def test_durable_servers_come_back_with_their_data_after_a_crash(home: Path) -> None:
    before = bring_up(home, {}, durable=True)
    with psycopg.connect(before.database_url) as connection:
        connection.execute("CREATE TABLE kept ()")
    for identity in identities(home):
        os.kill(identity.pid, signal.SIGKILL)

    after = bring_up(home, {}, durable=True)

    assert after == before
    with psycopg.connect(after.database_url) as connection:
        connection.execute("SELECT FROM kept")
    assert shut_down(home)
    assert not shut_down(home)


def test_a_server_without_its_record_is_recognised(home: Path) -> None:
    before = bring_up(home, {}, durable=True)
    pids = [identity.pid for identity in identities(home)]
    postgres.daemon(home).pid_file.unlink()
    redis_server.daemon(home).pid_file.unlink()

    assert bring_up(home, {}, durable=True) == before
    assert identities(home)[0].pid == pids[0]
    assert shut_down(home)
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)


def test_a_directory_of_somebody_else_is_refused(home: Path) -> None:
    if os.geteuid():
        pytest.skip("only root can give a directory away")
    shutil.chown(home, 12345, 12345)

    with pytest.raises(SetupError, match="belongs to somebody else"):
        bring_up(home, {}, durable=True)


def test_a_deep_checkout_keeps_its_sockets_short() -> None:
    deep = Layout(Path("/srv", *["a-long-name"] * 20))

    assert len(os.fsencode(deep.servers / ".s.PGSQL.5432")) < 107
    assert deep.servers != Layout(deep.checkout / "other").servers
