import json
import os
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from deploy.local import demo, environment
from deploy.local.files import LAYOUT, Layout, SetupError, write_private
from deploy.local.pieces import Piece, code_digest
from deploy.local.services import Services


def test_a_taken_port_is_refused_before_anything_starts(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SetupError, match=f"port {port} is taken .* PORT={port + 1}"):
            demo.up(Layout(tmp_path), port=port, fresh=False)

    assert not Layout(tmp_path).servers.exists()


@pytest.mark.parametrize("port", ["eighty", "0", "65536", "-1"])
def test_a_port_that_is_none_is_named(port: str) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "deploy.local", "demo"],
        cwd=LAYOUT.checkout,
        env={**os.environ, "PORT": port},
        capture_output=True,
        text=True,
        check=False,
    )

    assert result.returncode == 1
    assert f"PORT={port} is not a port" in result.stderr
    assert "Traceback" not in result.stderr


def test_stop_without_a_demo_does_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    demo.down(Layout(tmp_path))
    demo.down(Layout(tmp_path))

    assert capsys.readouterr().err.count("nothing was running") == 2


def test_a_round_and_a_load_need_a_demo(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="no demo is running: make demo"):
        demo.play_again(Layout(tmp_path), "")
    with pytest.raises(SetupError, match="no demo is running: make demo"):
        demo.load(Layout(tmp_path))


def test_a_piece_is_started_anew_when_its_settings_or_code_change(tmp_path: Path) -> None:
    layout, piece = Layout(tmp_path), Piece("toy", ("timeit", "-s", "import time", "time.sleep(9)"))
    environ = {**os.environ, "PORT": "8000"}
    try:
        assert not piece.is_current(layout, environ, "code")
        piece.start(layout, environ, "code")

        assert piece.is_current(layout, environ, "code")
        assert not piece.is_current(layout, environ, "other code")
        assert not piece.is_current(layout, {**environ, "PORT": "8001"}, "code")
    finally:
        assert piece.daemon(layout).stop()
    assert not piece.is_current(layout, environ, "code")


def test_the_code_digest_follows_code_and_nothing_else(tmp_path: Path) -> None:
    app = tmp_path / "orders"
    app.mkdir()
    (app / "services.py").write_text("")
    before = code_digest(tmp_path)
    (tmp_path / "var").mkdir()
    (tmp_path / "var" / "made.py").write_text("")
    (app / "notes.txt").write_text("")
    assert code_digest(tmp_path) == before

    (app / "services.py").write_text("pass")

    assert code_digest(tmp_path) != before


def test_fresh_says_what_it_drops_and_drops_it(
    services: Services, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with psycopg.connect(services.database_url) as connection:
        connection.execute("CREATE TABLE public.stale ()")
    layout = Layout(tmp_path)
    write_private(layout.logins, json.dumps({"base_url": "gone"}))

    demo.start_over(layout, {"DATABASE_URL": services.database_url})

    assert "dropping everything in the schema public of khaacho at" in capsys.readouterr().err
    assert not layout.logins.exists()
    with psycopg.connect(services.database_url) as connection:
        row = connection.execute("SELECT to_regclass('public.stale')").fetchone()
        assert row == (None,)
        connection.execute("CREATE TABLE public.stale ()")


@dataclass(frozen=True)
class Outside(Layout):
    """A checkout with its servers outside, as root has them."""

    @property
    def servers(self) -> Path:
        return self.checkout.with_name("servers")


def test_what_a_deleted_checkout_left_is_deleted_and_what_this_one_made_is_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    layout = Outside(tmp_path / "checkout")
    assert not demo.is_left_behind(layout)
    (layout.servers / "pg15").mkdir(parents=True)
    (layout.servers / "dump.rdb").write_text("")
    assert demo.is_left_behind(layout)

    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(SetupError, match="taken"):
        demo.up(layout, port=taken.getsockname()[1], fresh=False)

    assert list(layout.servers.iterdir()) == []
    assert f"a deleted checkout left in {layout.servers}" in capsys.readouterr().err
    environment.demo(layout, Services("postgresql:///", "redis://"))
    assert not demo.is_left_behind(layout)


def test_servers_inside_a_checkout_are_never_left_behind(tmp_path: Path) -> None:
    class Inside(Layout):
        @property
        def servers(self) -> Path:
            return self.var / "servers"

    layout = Inside(tmp_path)
    layout.servers.mkdir(parents=True)

    assert not demo.is_left_behind(layout)


def test_what_others_made_is_not_ours_to_delete(tmp_path: Path) -> None:
    layout = Outside(tmp_path / "checkout")
    layout.servers.symlink_to(tmp_path)
    assert not demo.is_left_behind(layout)

    if not os.geteuid():
        layout.servers.unlink()
        layout.servers.mkdir()
        os.chown(layout.servers, 4242, -1)
        assert not demo.is_left_behind(layout)


def test_private_files_are_their_owners_only(tmp_path: Path) -> None:
    write_private(tmp_path / "new" / "secret", "one")
    write_private(tmp_path / "new" / "secret", "two")

    assert (tmp_path / "new" / "secret").read_text() == "two"
    assert (tmp_path / "new" / "secret").stat().st_mode & 0o777 == 0o600
    assert len(list((tmp_path / "new").iterdir())) == 1
