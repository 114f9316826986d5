"""nginx with deploy/nginx's files, before two small servers that tell what reached them."""

import json
import socket
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from deploy.local.accounts import give, make_home, server_account
from deploy.local.files import SetupError, tail
from deploy.local.processes import Daemon
from deploy.local.services import ephemeral_home
from deploy.scale import programs, servers, templates
from deploy.scale.layout import SCALE
from tests.processes import free_port, wait_for

pytestmark = [pytest.mark.processes, pytest.mark.patient]


class Upstream(ThreadingHTTPServer):
    """Answers with what it was sent; on /vanish it breaks off without an answer."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Echo)
        self.seen: list[str] = []

    @property
    def port(self) -> int:
        return int(self.server_address[1])


class Echo(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Upstream

    def _answer(self) -> None:
        self.server.seen.append(f"{self.command} {self.path}")
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        if self.path.startswith("/vanish"):
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        told = {"port": self.server.port, "headers": dict(self.headers), "bytes": len(body)}
        text = json.dumps(told).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST = do_PUT = _answer  # noqa: N815 - the server's names

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the server's name
        pass


@dataclass
class Edge:
    url: str
    home: Path
    ups: list[Upstream]
    http: httpx.Client = field(default_factory=lambda: httpx.Client(trust_env=False, timeout=10))

    def get(self, path: str, **headers: str) -> httpx.Response:
        return self.http.get(f"{self.url}{path}", headers=headers)

    def drain(self, number: int) -> Path:
        mark = self.home / "draining" / f"web-{number}"
        mark.touch()
        return mark

    def ports(self, count: int = 12) -> set[int]:
        return {int(self.get("/").json()["port"]) for _ in range(count)}


def find_nginx() -> Path:
    try:
        return programs.obtain("nginx")
    except SetupError as error:
        pytest.skip(str(error))


@pytest.fixture
def edge() -> Iterator[Edge]:
    nginx = find_nginx()
    ups = [Upstream(), Upstream()]
    for up in ups:
        threading.Thread(target=up.serve_forever, daemon=True).start()
    with ephemeral_home("edge") as home:
        account = server_account(home)
        make_home(home, account)
        port = free_port()
        values = servers.nginx_values(SCALE, {1: ups[0].port, 2: ups[1].port}, port) | {
            "STATIC_ROOT": str(home / "static"),
            "DRAINING": str(home / "draining"),
            "NGINX_TMP": str(home / "tmp"),
            "ACCESS_LOG": str(home / "access.log"),
        }
        for name in ("static", "draining", "tmp"):
            (home / name).mkdir()
            give(home / name, account)
        (home / "static" / "site.css").write_text("body {}")
        for name in ("nginx.conf", "http.conf", "server.conf", "site.conf"):
            templates.write(templates.FILES / "nginx" / name, home / name, values, account)
        daemon = Daemon("nginx", home)
        log = home / "nginx.log"
        daemon.start(
            servers.nginx_command(nginx, home),
            log=log,
            environ=servers.ENVIRON,
            account=account,
            tied=True,
        )
        url = f"http://127.0.0.1:{port}"
        try:
            wait_for(lambda: _answers(url), what=tail(log))
            edge = Edge(url, home, ups)
            with edge.http:
                yield edge
        finally:
            daemon.stop()
            for up in ups:
                up.shutdown()
                up.server_close()


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/edgez", trust_env=False).text == "ok\n"
    except httpx.TransportError:
        return False


def test_what_reaches_the_web_process(edge: Edge) -> None:
    told = edge.get(
        "/api/v1/orders/?q=1",
        **{"X-Request-ID": "shop-7.a", "X-Forwarded-For": "1.2.3.4", "X-Forwarded-Proto": "ftp"},
    ).json()["headers"]

    assert told["X-Request-ID"] == "shop-7.a"
    assert told["X-Forwarded-For"] == "127.0.0.1"
    assert told["X-Forwarded-Proto"] == "http"
    assert told["Host"] == edge.url.removeprefix("http://")


def test_an_id_that_could_harm_a_log_is_replaced(edge: Edge) -> None:
    told = edge.get("/", **{"X-Request-ID": 'x" onload="'}).json()["headers"]["X-Request-ID"]

    assert len(told) == 32
    assert told.isalnum()


def test_the_log_has_the_id_and_no_query(edge: Edge) -> None:
    edge.get("/api/v1/orders/?search=9801234567", **{"X-Request-ID": "find-me"})

    log = edge.home / "access.log"  # written after the answer
    wait_for(lambda: log.exists() and "find-me" in log.read_text(), what="the log's line")
    [line] = map(json.loads, [row for row in log.read_text().splitlines() if "find-me" in row])
    assert (line["request_id"], line["path"], line["status"]) == ("find-me", "/api/v1/orders/", 200)
    assert "9801234567" not in (edge.home / "access.log").read_text()


def test_bodies_have_their_bounds(edge: Edge) -> None:
    big = b"x" * (1024 * 1024 + 1)

    refused = edge.http.post(f"{edge.url}/api/v1/orders/", content=big)
    message = edge.http.post(f"{edge.url}/api/v1/whatsapp/webhook", content=big)

    assert refused.status_code == 413
    assert refused.headers["Content-Type"] == "application/problem+json"
    assert refused.json()["code"] == "request_entity_too_large"
    assert message.json()["bytes"] == len(big)


def test_both_processes_serve_and_a_drained_one_does_not(edge: Edge) -> None:
    first, second = (up.port for up in edge.ups)
    assert edge.ports(30) == {first, second}

    mark = edge.drain(1)
    assert edge.ports() == {second}
    mark.unlink()
    edge.drain(2)
    assert edge.ports() == {first}


def test_a_read_is_asked_again_elsewhere_and_a_post_is_not(edge: Edge) -> None:
    read = edge.get("/vanish/read")
    asked = sum(up.seen.count("GET /vanish/read") for up in edge.ups)
    posted = edge.http.post(f"{edge.url}/vanish/post", json={})
    sent = sum(up.seen.count("POST /vanish/post") for up in edge.ups)

    assert (read.status_code, asked) == (503, 2)
    assert (posted.status_code, sent) == (503, 1)


def test_when_one_is_dead_the_other_answers_everything(edge: Edge) -> None:
    edge.ups[0].shutdown()
    edge.ups[0].server_close()

    answers = [edge.http.post(f"{edge.url}/", json={}).status_code for _ in range(20)]

    assert set(answers) == {200}


def test_when_both_are_dead_a_problem_says_to_come_again(edge: Edge) -> None:
    for up in edge.ups:
        up.shutdown()
        up.server_close()

    answer = edge.get("/api/v1/orders/", **{"X-Request-ID": "dead"})

    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
    assert (answer.json()["code"], answer.json()["request_id"]) == ("service_unavailable", "dead")


def test_static_files_are_served_here_and_nothing_else_of_the_disk(edge: Edge) -> None:
    style = edge.get("/static/site.css")

    assert (style.text, style.headers["Content-Type"]) == ("body {}", "text/css; charset=utf-8")
    assert style.headers["X-Content-Type-Options"] == "nosniff"
    assert "max-age=600" in style.headers["Cache-Control"]
    assert edge.get("/static../nginx.conf").headers.get("Content-Type") != "text/plain"
    assert edge.get("/static/../nginx.conf").json()["port"]
    assert not any("static/site" in path for up in edge.ups for path in up.seen)


def test_nginx_takes_the_files_for_tls_too(tmp_path: Path) -> None:
    nginx = find_nginx()
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    names = ["-subj", "/CN=khaacho.example", "-addext", "subjectAltName=DNS:khaacho.example"]
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", *names,
         "-keyout", key, "-out", certificate],
        check=True,
        capture_output=True,
    )  # fmt: skip
    values = servers.nginx_values(SCALE, {1: 8001, 2: 8002}, free_port()) | {
        "TLS_KEY": str(key),
        "TLS_CERTIFICATE": str(certificate),
        "NGINX_TMP": str(tmp_path),
        "ACCESS_LOG": "/dev/null",
    }
    for source, name in (("nginx", "nginx"), ("http", "http"), ("tls", "server"), ("site", "site")):
        text = (templates.FILES / "nginx" / f"{source}.conf").read_text()
        text = templates.render(text, values).replace("listen 80;", f"listen {free_port()};")
        text = text.replace("listen [::]:80;", "").replace("listen [::]:443 ssl http2;", "")
        text = text.replace("listen 443", f"listen {free_port()}")
        (tmp_path / f"{name}.conf").write_text(text)

    result = subprocess.run(
        [nginx, "-t", "-p", tmp_path, "-c", tmp_path / "nginx.conf", "-g", f"pid {tmp_path}/pid;"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert result.returncode == 0, result.stderr
    assert "[warn]" not in result.stderr.replace('the "user" directive', "")
