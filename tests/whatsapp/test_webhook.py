"""The door: who is let in, what is stored before the answer, and what is answered without it."""

import hashlib
import hmac
import json
import subprocess
import sys

import pytest
from django.db import connection
from django.test import Client

from khaacho.models import Job
from khaacho.signatures import is_signed, sign
from tests.processes import ROOT, environment
from tests.whatsapp.meta import SECRET, URL, envelope, post, text
from whatsapp.models import WhatsAppWebhook

pytestmark = pytest.mark.django_db

BODY = envelope(text("+9779800000001", "hello"))


def signature(body: bytes, secret: str) -> str:
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


@pytest.mark.parametrize(
    ("given", "secrets", "signed"),
    [
        (signature(BODY, "a"), ["a"], True),
        (signature(BODY, "a"), ["b", "a"], True),
        (signature(BODY, "b"), ["b", "a"], True),
        (signature(BODY, "a"), ["b"], False),
        (signature(BODY, "a"), [], False),
        (signature(BODY, ""), [""], False),
        (signature(BODY + b" ", "a"), ["a"], False),
        (signature(json.dumps(json.loads(BODY)).encode() + b"\n", "a"), ["a"], False),
        (signature(BODY, "a").upper(), ["a"], False),
        (signature(BODY, "a").removeprefix("sha256="), ["a"], False),
        (signature(BODY, "a")[:-1], ["a"], False),
        ("sha1=" + hmac.new(b"a", BODY, hashlib.sha1).hexdigest(), ["a"], False),
        ("sha256=", ["a"], False),
        ("", ["a"], False),
        ("sha256=é", ["a"], False),
    ],
)
def test_signatures(given, secrets, signed):
    assert is_signed(BODY, given, secrets) is signed


@pytest.mark.parametrize("url", [URL, f"{URL}/"])
def test_a_signed_body_is_stored_with_its_job(url):
    response = post(BODY, url=url)
    assert (response.status_code, response.content) == (200, b"")
    webhook = WhatsAppWebhook.objects.get()
    assert bytes(webhook.body) == BODY
    assert (webhook.provider, webhook.processed_at) == ("meta", None)
    job = Job.objects.get(kind="whatsapp.read")
    assert (job.queue, job.args) == ("whatsapp", {"webhook_id": webhook.pk})


def test_the_same_body_again_is_welcome_and_stored_once():
    assert [post(BODY).status_code for _ in range(3)] == [200, 200, 200]
    assert WhatsAppWebhook.objects.count() == 1
    assert Job.objects.filter(kind="whatsapp.read").count() == 1


def test_a_delivery_costs_few_statements(django_assert_num_queries):
    with django_assert_num_queries(4):  # savepoint, webhook, job, release
        post(BODY)


def test_both_secrets_work_while_one_replaces_the_other(settings):
    settings.WHATSAPP_APP_SECRETS = ["new", SECRET]
    assert post(BODY).status_code == 200
    assert post(BODY + b" ", secret="new").status_code == 200


@pytest.mark.parametrize(
    "headers", [{}, {"X-Hub-Signature-256": sign(BODY, "wrong")}, {"X-Hub-Signature-256": "é"}]
)
def test_an_unsigned_body_is_refused_logged_and_not_stored(headers, caplog):
    with caplog.at_level("INFO", "khaacho.rejections"):
        response = Client().post(URL, BODY, content_type="application/json", headers=headers)
    assert response.status_code == 401
    assert response["Content-Type"] == "application/problem+json"
    assert response.json()["code"] == "signature_invalid"
    assert not WhatsAppWebhook.objects.exists()
    lines = [r for r in caplog.records if r.name == "khaacho.rejections"]
    assert [line.getMessage() for line in lines] == ["whatsapp.webhook_rejected"]
    assert "9800000001" not in str(vars(lines[0]))


def test_without_secrets_nobody_is_let_in(settings):
    settings.WHATSAPP_APP_SECRETS = []
    assert post(BODY).status_code == 401
    assert post(BODY, secret="").status_code == 401
    assert not WhatsAppWebhook.objects.exists()


@pytest.mark.parametrize(
    "body", [b"", b"not json", b"{", b"\xff\xfe", b'{"a": NaN}', b"[" * 100_000, b"1" * 10_000]
)
def test_what_is_not_json_is_refused(body):
    response = post(body)
    assert (response.status_code, response.json()["code"]) == (400, "invalid")
    assert not WhatsAppWebhook.objects.exists()


@pytest.mark.parametrize("body", [b"null", b"[]", b'"text"', b"{}", b"12"])
def test_any_json_is_stored(body):
    assert post(body).status_code == 200
    assert WhatsAppWebhook.objects.count() == 1


def test_bodies_up_to_3_mb_and_not_a_byte_more():
    limit = 3 * 1024 * 1024
    fits = b'"' + b"a" * (limit - 2) + b'"'
    assert post(fits).status_code == 200
    response = post(fits + b" ")
    assert response.status_code == 413
    assert response["Content-Type"] == "application/problem+json"
    assert WhatsAppWebhook.objects.count() == 1


@pytest.mark.parametrize("length", ["99999999", "99999999999999999999"])
def test_a_body_that_only_says_it_is_too_long_is_refused_unread(length):
    response = Client().post(URL, BODY, content_type="application/json", CONTENT_LENGTH=length)
    assert response.status_code == 413


@pytest.mark.parametrize("url", [URL, f"{URL}/"])
def test_the_challenge_is_answered_bare(url):
    query = {"hub.mode": "subscribe", "hub.verify_token": "verify-me", "hub.challenge": "11<b>58"}
    response = Client().get(url, query)
    assert (response.status_code, response.content) == (200, b"11<b>58")
    assert response["Content-Type"].startswith("text/plain")
    assert response["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    ("mode", "token"),
    [("subscribe", "wrong"), ("subscribe", ""), ("unsubscribe", "verify-me"), ("", "verify-me"), ("subscribe", "é")],
)  # fmt: skip
def test_a_stranger_gets_no_challenge(mode, token):
    query = {"hub.mode": mode, "hub.verify_token": token, "hub.challenge": "1158"}
    response = Client().get(URL, query)
    assert (response.status_code, response.json()["code"]) == (403, "permission_denied")
    assert b"1158" not in response.content


def test_an_empty_verify_token_verifies_nobody(settings):
    settings.WHATSAPP_VERIFY_TOKEN = ""
    query = {"hub.mode": "subscribe", "hub.verify_token": "", "hub.challenge": "1158"}
    assert Client().get(URL, query).status_code == 403


@pytest.mark.parametrize("method", ["put", "patch", "delete"])
def test_other_methods_are_refused(method):
    response = getattr(Client(), method)(URL)
    assert response.status_code == 405
    assert response["Content-Type"] == "application/problem+json"
    assert set(response["Allow"].split(", ")) == {"GET", "POST"}


def test_no_session_no_cookie_no_csrf_token():
    client = Client(enforce_csrf_checks=True)
    headers = {"X-Hub-Signature-256": sign(BODY, SECRET)}
    response = client.post(URL, BODY, content_type="application/json", headers=headers)
    assert response.status_code == 200
    assert not response.cookies


WITHOUT_DATABASE = f"""
import django
django.setup()
from django.test import Client
from khaacho.signatures import sign
body = b'{{"entry": []}}'
response = Client().post(
    "{URL}", body, content_type="application/json",
    headers={{"X-Hub-Signature-256": sign(body, "{SECRET}"), "Host": "localhost"}},
)
print(response.status_code, response["Retry-After"], response["Content-Type"])
"""


def test_503_when_postgresql_is_down(tmp_path):
    env = environment(
        DATABASE_URL=f"postgresql://nobody@/nothing?host={tmp_path}",
        DJANGO_SETTINGS_MODULE="khaacho.settings",
        WHATSAPP_APP_SECRETS=SECRET,
        STATIC_ROOT=str(tmp_path),
    )
    run = subprocess.run(
        [sys.executable, "-c", WITHOUT_DATABASE],
        env=env,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.stdout.split() == ["503", "5", "application/problem+json"], run.stderr


@pytest.mark.django_db(transaction=True)
def test_503_and_nothing_stored_when_the_commit_fails():
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE FUNCTION fail_at_commit() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN RAISE EXCEPTION 'disk full' USING ERRCODE = '53100'; END $$"
        )
        cursor.execute(
            "CREATE CONSTRAINT TRIGGER fail AFTER INSERT ON whatsapp_webhooks"
            " DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION fail_at_commit()"
        )
    try:
        assert post(BODY).status_code == 503
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DROP FUNCTION fail_at_commit CASCADE")
    assert not WhatsAppWebhook.objects.exists()
    assert not Job.objects.exists()
    assert post(BODY).status_code == 200
