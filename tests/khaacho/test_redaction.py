"""What is left out of every line, by name and by form, and what must stay."""

import json
import logging
import sys

import pytest

from khaacho import logs
from khaacho.logs import JSONFormatter, RequestFilter
from khaacho.redaction import is_private_name, redacted, scrub
from tests.khaacho.planting import Garden, lines_of, logging_to

log = logging.getLogger("khaacho.planted")


@pytest.mark.parametrize(
    "text",
    [
        "order ORD-2026-0000123 of shop 42: 1,250.00 NPR",
        "INV-2083/84-000017 for 98,12,345.50 and 1250000.00",
        "at 2026-11-27T10:03:50.123456+00:00, that is 2026-11-27 15:48",
        "fingerprint -1234567890123456789 took 0.0123456 s",
        "request job-123456 from 10.20.30.40 and 203.0.113.250",
        'File "/srv/khaacho/.venv/lib/python3.11/site-packages/django/db/backends/utils.py", line 105, in _execute',
        "CreditLimitExceededTestCaseForRetailersAndVendors",
        "in test_refuses_when_the_credit_limit_is_exceeded",
        "Key (order_id)=(42) is not present in table",
        "the token expired; the password was wrong; secret things",
        "OrderPlaced>whatsapp.handlers.order_placed",
        "celery@web-1 ready.",
        "96, 97, 98, 99, 100, 101, 102, 103",
    ],
)
def test_what_stays(text):
    assert scrub(text) == text


@pytest.mark.parametrize(
    ("text", "scrubbed"),
    [
        ("Key (phone)=(+9779812345678) already exists.", "Key (phone)=(…) already exists."),
        ("Key (shop_id, phone)=(4, 981) already", "Key (shop_id, phone)=(…) already"),
        (
            "DETAIL:  Failing row contains (7, Ram, two\nsacks, null).\nCONTEXT:  x",
            "DETAIL:  Failing row contains (…)\nCONTEXT:  x",
        ),
        (
            'invalid input syntax for type integer: "hunter two"\nLINE 1: SELECT \'hunter\'::int\n               ^\n',
            "invalid input syntax for type integer: …\nLINE 1: …\n",
        ),
        ("unnamed portal with parameters: $1 = 'it''s me', $2 = '4'", "unnamed portal with parameters: $1 = …, $2 = …"),
        (
            "OperationalError('x\\nLINE 1: SELECT \\'a\\'\\n     ^\\n')",
            "OperationalError('x\\nLINE 1: …\\n')",
        ),
        ("postgresql://me:se@cret@db:5432/x", "postgresql://…@db:5432/x"),
        ("GET /orders/?q=Ram+Store&page=2 HTTP/1.1", "GET /orders/?q=…&page=… HTTP/1.1"),
        ('{"password": "hun\\"ter two", "n": 1}', '{"password": …, "n": 1}'),
        ("{'new_password': 'a b', 'id': 4}", "{'new_password': …, 'id': 4}"),
        ("{'text': {'body': 'two sacks of rice'}}", "{'text': …}"),
        ("password=ab)c&d next", "password=… next"),
        ("Authorization: Bearer abc.def", "Authorization: … …"),
        ("signed sha256=0123456789abcdef0123", "signed …"),
        ("pbkdf2_sha256$600000$salt$hash= of", "… of"),
        ("wamid.HBgMOTc3OTgxMjM0NTY3OBUC", "…"),
        ("from 01-4412345 or (01) 5551234", "from … or …"),
        ("to +1 202 555 0123 and 919812345678", "to … and …"),
        ("b'\\xe0\\xa5\\xaf\\xe0\\xa5\\xae\\xe0\\xa5\\xa7\\xe0\\xa5\\xa8\\xe0\\xa5\\xa9\\xe0\\xa5\\xaa\\xe0\\xa5\\xab'", "b'…'"),
    ],
)  # fmt: skip
def test_what_goes(text, scrubbed):
    assert scrub(text) == scrubbed


@pytest.mark.parametrize(
    "name",
    [
        "phone",
        "from_number",
        "retailer_phone",
        "phone2",
        "password",
        "new_password",
        "PASSWORD",
        "access_token",
        "refresh_token",
        "HTTP_AUTHORIZATION",
        "cookie",
        "session_key",
        "verify_token",
        "csrftoken",
        "body",
        "text",
        "payload",
        "notes",
        "email",
    ],
)
def test_names_that_hide(name):
    assert is_private_name(name)


@pytest.mark.parametrize(
    "name",
    [
        "message_id",
        "token_type",
        "body_bytes",
        "phone_id",
        "status",
        "code",
        "kind",
        "pinned",
        "opinion",
        "order_id",
    ],
)
def test_names_that_do_not(name):
    assert not is_private_name(name)


def test_values_are_redacted_at_any_depth():
    class Secretive:
        def __str__(self):
            raise RuntimeError("no")

    value = {
        "a": [{"phone": 9812345678, "order_id": 7}, ("x", {"deep": {"password": ["p"]}})],
        "b": {"n": 1.5, "ok": True, "none": None, "number": 9779812345678},
        "c": b"call 9812345678",
        "d": Secretive(),
        "call 9812345678": 1,
    }
    assert redacted(value) == {
        "a": [{"phone": "…", "order_id": 7}, ["x", {"deep": {"password": "…"}}]],
        "b": {"n": 1.5, "ok": True, "none": None, "number": "…"},
        "c": "call …",
        "d": "<Secretive>",
        "call …": 1,
    }


def test_nesting_without_end_is_cut_off():
    ring: list = []
    ring.append(ring)
    assert json.dumps(redacted(ring), ensure_ascii=False) == '[[[[[["…"]]]]]]'


def line(message, *args, **extra) -> dict:
    record = log.makeRecord(log.name, logging.INFO, "f", 1, message, args, None, extra=extra)
    RequestFilter().filter(record)
    return json.loads(JSONFormatter().format(record))


def test_ids_and_fingerprints_are_kept_as_they_are():
    token = logs.request_id.set("3f9a8b7c6d5e4f30aa11bb22cc33dd44")
    try:
        found = line(
            "query.slow",
            fingerprint=9812345678,
            order_id=9812345678,
            statement="select ?",
            backup="khaacho_backup_2026-11-27_02-00-00",
        )
    finally:
        logs.request_id.reset(token)
    assert found["request_id"] == "3f9a8b7c6d5e4f30aa11bb22cc33dd44"
    assert (found["fingerprint"], found["order_id"]) == (9812345678, 9812345678)
    assert found["backup"] == "khaacho_backup_2026-11-27_02-00-00"


@pytest.mark.parametrize(
    ("message", "args", "event"),
    [
        ("to %s", ("9812345678",), "to …"),
        ("to %d", (9812345678,), "to …"),
        ("to %(phone)s", ({"phone": "x"},), "to …"),
        ("to %(phone)d", ({"phone": 9812345678},), "to …"),
        ("%s", ({"password": "two words"},), "{'password': …}"),
        ("only %s and %s", ("9812345678",), "only %s and %s"),
        ("none", ("9812345678",), "none"),
    ],
)
def test_arguments_of_a_message(message, args, event):
    assert line(message, *args)["event"] == event


def test_a_value_that_breaks_costs_the_line_and_shows_nothing(tmp_path, capsys):
    class Odd(dict):
        def items(self):
            raise RuntimeError("9812345678")

    with logging_to(tmp_path):
        log.error("odd", extra={"inner": Odd(a=1), "note": "9812345678"})
    assert "9812345678" not in capsys.readouterr().err
    [found] = lines_of(tmp_path, "error")
    assert found == {"event": "log.unsayable", "error": "RuntimeError"}


def test_a_line_that_logging_cannot_format_shows_nothing_on_standard_error(tmp_path, capsys):
    with logging_to(tmp_path):
        log.error("only %s and %s", "9812345678")  # noqa: PLE1206 - that is the point
    assert "9812345678" not in capsys.readouterr().err
    assert [each["event"] for each in lines_of(tmp_path, "error")] == ["only %s and %s"]


def raising(garden: Garden) -> None:
    try:
        try:
            raise KeyError(garden.phone())  # noqa: TRY301 - the one below has a cause
        except KeyError as error:
            raise ValueError(f"password={garden.password()} {garden.token()}") from error
    except ValueError as error:
        error.add_note(f"for {garden.phone()}")
        raise


def test_more_than_a_thousand_secrets_given_to_the_logger_are_in_no_file(tmp_path, capsys):
    garden = Garden(1)
    with logging_to(tmp_path):
        for number in range(100):
            phone, token, password = garden.phone(), garden.token(), garden.password()
            logged = log.getChild("orders") if number % 2 else log
            logged.error("to %s with %s, password=%s", phone, token, password)
            inner = {
                "phone": garden.phone(),
                "token": garden.token(),
                "password": garden.password(),
            }
            log.error("nested", extra={"data": inner, "list": [inner], "body": garden.words()})
            log.error(
                "%s", json.dumps({**inner, "text": {"body": garden.words()}}, ensure_ascii=False)
            )
            log.error("%(phone)s", inner)
            asked = garden.phone(), garden.password(), garden.token()
            log.error("?next=/x/&phone=%s&password=%s&q=%s", *asked)
            log.error("Bearer %s", garden.token(), extra={"note": f"call {garden.phone()}"})
            try:
                raising(garden)
            except ValueError:
                log.exception("failed", stack_info=True)
            log.error(
                "whole", exc_info=sys.exc_info(), extra={"order_id": number, "total": "1250.50"}
            )
    assert len(garden.planted) >= 1500
    files = sorted(tmp_path.glob("*.log"))
    assert {each.stem for each in files} >= {"combined", "error", "orders"}
    (tmp_path / "stderr").write_text(capsys.readouterr().err)
    assert garden.found_in([*files, tmp_path / "stderr"]) == []
    orders = lines_of(tmp_path, "orders")
    assert {each["total"] for each in orders if "total" in each} == {"1250.50"}


def test_the_search_finds_what_is_planted(tmp_path):
    garden = Garden()
    secrets = [garden.phone() for _ in range(50)] + [
        garden.token(),
        garden.password(),
        garden.words(),
    ]
    for secret in secrets:
        path = tmp_path / "log"
        path.write_text(f"before {secret} after\n")
        assert len(garden.found_in([path])) == 1, secret
