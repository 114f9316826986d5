"""A variable of the wrong form stops the start, with its name and a sentence; none of it repeats the value."""

import ast
import os
import re
import runpy
import subprocess
import sys
from contextlib import suppress
from decimal import Decimal
from pathlib import Path

import pytest

from khaacho import configuration
from khaacho.configuration import Environment, Misconfigured
from tests.processes import ROOT

SETTINGS = str(ROOT / "khaacho" / "settings.py")
PLAIN = {"SECRET_KEY": "s" * 50, "PATH": os.environ["PATH"], "HOME": "/tmp"}
SECRET = "hunter2hunter2"

WRONG = [
    ("DB_POOL_MAX", "many", "DB_POOL_MAX is not a whole number. Example: DB_POOL_MAX=0"),
    ("DB_POOL_MAX", "-1", "DB_POOL_MAX must be 0 or more. Example: DB_POOL_MAX=0"),
    ("DB_POOL_MAX", "5.5", "DB_POOL_MAX is not a whole number. Example: DB_POOL_MAX=0"),
    (
        "DB_POOL_MAX",
        "",
        "DB_POOL_MAX is empty: leave the line out for its default. Example: DB_POOL_MAX=0",
    ),
    ("WEB_CONCURRENCY", "0", "WEB_CONCURRENCY must be 1 or more. Example: WEB_CONCURRENCY=2"),
    ("EMAIL_PORT", "70000", "EMAIL_PORT must be from 1 to 65535. Example: EMAIL_PORT=25"),
    (
        "JOB_BACKOFF_SECONDS",
        "nan",
        "JOB_BACKOFF_SECONDS is not a number. Example: JOB_BACKOFF_SECONDS=5",
    ),
    (
        "SOURCES_SECONDS",
        "a minute",
        "SOURCES_SECONDS is not a number. Example: SOURCES_SECONDS=60",
    ),
    (
        "REPLICA_MAX_LAG_SECONDS",
        "0.5",
        "REPLICA_MAX_LAG_SECONDS must be 1 or more. Example: REPLICA_MAX_LAG_SECONDS=5.0",
    ),
    (
        "LIMIT_SECOND_PERSON_ABOVE",
        "-5",
        (
            "LIMIT_SECOND_PERSON_ABOVE is not an amount of NPR, zero or more."
            " Example: LIMIT_SECOND_PERSON_ABOVE=200000.00"
        ),
    ),
    ("DEBUG", "perhaps", "DEBUG is neither true nor false. Example: DEBUG=false"),
    (
        "LOG_LEVEL",
        "LOUD",
        "LOG_LEVEL must be one of DEBUG, INFO, WARNING, ERROR, CRITICAL. Example: LOG_LEVEL=INFO",
    ),
    (
        "ALERT_COOL_DOWN_MINUTES",
        "129601",
        "ALERT_COOL_DOWN_MINUTES must be from 0 to 129600. Example: ALERT_COOL_DOWN_MINUTES=60",
    ),
    (
        "ALERT_LEAST_SEVERITY",
        "bad",
        (
            "ALERT_LEAST_SEVERITY must be one of info, warning, critical."
            " Example: ALERT_LEAST_SEVERITY=warning"
        ),
    ),
    (
        "DATABASE_URL",
        "mysql://root@db/khaacho",
        (
            "DATABASE_URL must be a URL that begins with postgresql:// or postgres://."
            " Example: DATABASE_URL=postgresql://khaacho@127.0.0.1:5432/khaacho"
        ),
    ),
    (
        "DATABASE_URL",
        f"postgresql://khaacho@db/khaacho?{SECRET}=1",
        (
            "DATABASE_URL cannot be read by libpq; blanks and special characters of a URL are written %20."
            " Example: DATABASE_URL=postgresql://khaacho@127.0.0.1:5432/khaacho"
        ),
    ),
    (
        "DATABASE_REPLICA_URL",
        SECRET,
        (
            "DATABASE_REPLICA_URL cannot be read by libpq; blanks and special characters of a URL are"
            " written %20. Example: DATABASE_REPLICA_URL=postgresql://khaacho@127.0.0.1:5432/khaacho"
        ),
    ),
    (
        "REDIS_URL",
        "http://127.0.0.1:6379",
        (
            "REDIS_URL must be a URL that begins with redis:// or rediss:// or unix://."
            " Example: REDIS_URL=redis://127.0.0.1"
        ),
    ),
    ("REDIS_URL", "redis://", "REDIS_URL names no host. Example: REDIS_URL=redis://127.0.0.1"),
    (
        "REDIS_URL",
        f"redis://:{SECRET}@cache:port/0",
        "REDIS_URL is not a URL: its host or port cannot be read. Example: REDIS_URL=redis://127.0.0.1",
    ),
    (
        "ALERT_WEBHOOK_URL",
        "chat.example/hook",
        (
            "ALERT_WEBHOOK_URL must be a URL that begins with http:// or https://."
            " Example: ALERT_WEBHOOK_URL=http://127.0.0.1"
        ),
    ),
    (
        "ALLOWED_HOSTS",
        "https://shop.example",
        (
            "ALLOWED_HOSTS holds something that is no host name: leave out https://, ports and paths."
            " Example: ALLOWED_HOSTS=shop.example,www.shop.example"
        ),
    ),
    (
        "CSRF_TRUSTED_ORIGINS",
        "shop.example",
        (
            "CSRF_TRUSTED_ORIGINS holds something that is no origin: a scheme and a host, without a path."
            " Example: CSRF_TRUSTED_ORIGINS=https://shop.example"
        ),
    ),
    (
        "ALERT_EMAIL_TO",
        "duty@shop.example, nobody",
        (
            "ALERT_EMAIL_TO holds something that is no e-mail address."
            " Example: ALERT_EMAIL_TO=duty@shop.example"
        ),
    ),
    (
        "WHATSAPP_BACKEND",
        "whatsapp.nothing.Here",
        (
            "WHATSAPP_BACKEND names no class: the dotted path of one is wanted."
            " Example: WHATSAPP_BACKEND=whatsapp.backends.Console"
        ),
    ),
    (
        "LOG_DIR",
        "/proc/nothing/logs",
        (
            "LOG_DIR is no directory that we can make (No such file or directory)."
            " Example: LOG_DIR=/var/log/khaacho"
        ),
    ),
    (
        "SECRET_KEY",
        " ",
        (
            "SECRET_KEY is empty or not set, and has no default. Make one:"
            " python -c 'import secrets; print(secrets.token_urlsafe(48))'."
        ),
    ),
]
TOGETHER = [
    (
        {"DB_POOL_MIN": "20", "DB_POOL_MAX": "10"},
        "DB_POOL_MIN is more than DB_POOL_MAX. Example: DB_POOL_MIN=10",
    ),
    (
        {"DEBUG": "true", "SECURE_TLS": "true"},
        "DEBUG is on beside SECURE_TLS: it shows settings to whoever meets an error. Example: DEBUG=false",
    ),
    (
        {"DB_PGBOUNCER": "true"},
        (
            "DATABASE_DIRECT_URL is not set: with DB_PGBOUNCER, monitoring and maintenance need PostgreSQL's"
            " own address. Example: DATABASE_DIRECT_URL=postgresql://khaacho@127.0.0.1:5432/khaacho"
        ),
    ),
    (
        {
            "DB_PGBOUNCER": "true",
            "DB_SESSION_TIMEOUTS": "true",
            "DATABASE_DIRECT_URL": "postgresql://db/khaacho",
        },
        "DB_SESSION_TIMEOUTS is on, and PgBouncer refuses such connections: leave it out.",
    ),
]


@pytest.fixture
def read(monkeypatch):
    """Read the settings anew, from an environment of our own."""

    def read(**env: str) -> dict:
        for name in list(os.environ):
            monkeypatch.delenv(name)
        for name, value in {**PLAIN, **env}.items():
            monkeypatch.setenv(name, value)
        return runpy.run_path(SETTINGS)

    return read


def refused(read, env: dict[str, str]) -> str:
    with pytest.raises(Misconfigured) as found:
        read(**env)
    return str(found.value)


@pytest.mark.parametrize(("name", "value", "sentence"), WRONG)
def test_a_wrong_value_is_named_with_a_sentence(read, name, value, sentence):
    assert refused(read, {name: value}) == sentence


@pytest.mark.parametrize(("env", "sentence"), TOGETHER)
def test_values_that_do_not_go_together(read, env, sentence):
    assert refused(read, env) == sentence


def test_everything_that_is_wrong_is_told_at_once(read):
    said = refused(read, {"DB_POOL_MAX": "x", "LOG_LEVEL": "x", "REDIS_URL": "x"})
    assert [line.split()[0] for line in said.splitlines()] == [
        "DB_POOL_MAX",
        "REDIS_URL",
        "LOG_LEVEL",
    ]


def test_no_value_is_ever_repeated(read):
    """Whatever variable the secret was put into."""
    said = {}
    for name in documented():
        with suppress(Misconfigured):
            read(**{name: SECRET})
            continue
        said[name] = refused(read, {name: SECRET})
    assert len(said) > 35
    assert [name for name, text in said.items() if not text.startswith(name)] == []
    assert SECRET not in "".join(said.values())


def test_what_is_right_is_read(read):
    found = read(
        DB_POOL_MAX="40",
        WEB_CONCURRENCY="4",
        ALLOWED_HOSTS="shop.example, .shop.example,[::1]",
        DATABASE_URL="host=db dbname=khaacho user='a b'",
        REDIS_URL="unix:///run/redis.sock",
        CREDIT_AUTOMATIC_LIMITS="yes",
        LIMIT_SECOND_PERSON_ABOVE="1000",
        ALERT_EMAIL_TO="a@b.example,",
    )
    default = found["DATABASES"]["default"]
    pool = default["OPTIONS"]["pool"]
    assert (pool["min_size"], pool["max_size"], pool["timeout"], pool["max_idle"]) == (
        2,
        10,
        10,
        60,
    )
    assert default["OPTIONS"]["options"] == (
        "-c statement_timeout=30000 -c lock_timeout=3000"
        " -c idle_in_transaction_session_timeout=15000"
    )
    assert default["USER"] == "a b"
    assert found["ALLOWED_HOSTS"] == ["shop.example", ".shop.example", "[::1]"]
    assert found["REDIS_URL"] == "unix:///run/redis.sock"
    assert found["CREDIT_AUTOMATIC_LIMITS"] is True
    assert found["LIMIT_SECOND_PERSON_ABOVE"] == Decimal(1000)
    assert found["ALERT_EMAIL_TO"] == ["a@b.example"]
    assert "replica" not in found["DATABASES"]


def test_pgbouncer_is_one_variable(read):
    direct = "postgresql://khaacho@db/khaacho"
    pooler = "postgresql://khaacho@pooler:6432/khaacho"
    found = read(
        DB_PGBOUNCER="true", DATABASE_URL=pooler, DATABASE_DIRECT_URL=direct, DB_POOL_MAX="10"
    )
    aliases = found["DATABASES"]
    default = aliases["default"]
    assert default["HOST"] == "pooler"
    assert "options" not in default["OPTIONS"]
    assert default["OPTIONS"]["prepare_threshold"] is None
    assert default["DISABLE_SERVER_SIDE_CURSORS"] is True
    assert [aliases[alias]["HOST"] for alias in ("direct", "monitor")] == ["db", "db"]
    assert "pool" not in aliases["direct"]["OPTIONS"]


def test_development_has_a_key_of_its_own(read):
    assert read(DEBUG="true", SECRET_KEY="")["SECRET_KEY"].startswith("development-only-")


@pytest.mark.parametrize(
    "command",
    [("manage.py", "check"), ("-m", "gunicorn", "-c", "deploy/gunicorn.conf.py", "khaacho.wsgi")],
)
def test_the_start_stops(command):
    wrong = {**PLAIN, "JOB_MEMORY_MB": SECRET, "WEB_THREADS": SECRET}
    done = subprocess.run(
        [sys.executable, *command], cwd=ROOT, env=wrong, capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    name, example = ("JOB_MEMORY_MB", 1024) if "check" in command else ("WEB_THREADS", 4)
    assert f"{name} is not a whole number. Example: {name}={example}" in done.stderr
    assert SECRET not in done.stderr + done.stdout
    if "check" in command:
        assert done.stderr.splitlines()[0] == (
            "The configuration is wrong (docs/configuration.md):"
        )
        assert "Traceback" not in done.stderr


# .env.example

READERS = [ROOT / "deploy" / "gunicorn.conf.py", ROOT / "manage.py"]
APPS = ("khaacho", "vendors", "credit", "orders", "payments", "whatsapp", "monitoring")
METHODS = {name for name in vars(Environment) if not name.startswith("_")} - {
    "refuse",
    "stop_if_wrong",
}
NOT_OURS = {"DJANGO_SETTINGS_MODULE", "CELERY_SKIP_CHECKS"}


def documented() -> set[str]:
    text = (ROOT / ".env.example").read_text()
    return set(re.findall(r"^#?([A-Z][A-Z0-9_]+)=", text, re.MULTILINE))


def read_in(source: Path) -> set[str]:
    """Return the variables that a module reads, whether by our readers or straight from os.environ."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            owner = ast.unparse(node.func.value)
            is_reader = owner in ("env", "_env") and node.func.attr in METHODS
            if owner == "os.environ" and node.func.attr == "items":
                continue
            if is_reader or owner == "os.environ" or ast.unparse(node.func) == "os.getenv":
                first = node.args[0] if node.args else None
                assert isinstance(first, ast.Constant), f"{source}: {ast.unparse(node)}"
                found.add(first.value)
        elif isinstance(node, ast.Subscript) and ast.unparse(node.value) == "os.environ":
            assert isinstance(node.slice, ast.Constant)
            found.add(node.slice.value)
    return found


def test_the_example_explains_every_variable_that_is_read_and_no_other():
    sources = [source for app in APPS for source in (ROOT / app).rglob("*.py")] + READERS
    sources.remove(Path(configuration.__file__))
    read = set().union(*(read_in(source) for source in sources)) - NOT_OURS
    assert len(read) > 60
    assert documented() == read
    docs = (ROOT / "docs" / "configuration.md").read_text()
    assert {name for name in read if f"`{name}`" not in docs} == set()
