"""One effect and one answer per caller and key; a refusal leaves the key free."""

import threading
import time

import pytest
from django.db import connections

from khaacho import sql
from khaacho.models import Alert, IdempotencyKey
from tests.api import routes
from tests.api.clients import JSON, anonymous, assert_problem, make_person, signed_in
from tests.races import crowd
from tests.stopwatch import Stopwatch

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.api.routes")]


@pytest.fixture
def client():
    return signed_in(make_person())


def send(client, body=None, key="key-1", path="once"):
    headers = {} if key is None else {"Idempotency-Key": key}
    return client.post(f"/api/v1/try/{path}/", body or {"text": "a"}, JSON, headers=headers)


def effects():
    return sum(Alert.objects.filter(code="effect").values_list("occurrences", flat=True))


def holder_of_the_key():
    """Wait until some request of this test holds a key; return its connection's process id."""
    while True:
        found = sql.fetch(
            "SELECT pid FROM pg_locks JOIN pg_database d ON d.oid = database"
            " WHERE locktype = 'advisory' AND d.datname = current_database()"
            " AND pid <> pg_backend_pid()"
        )
        if found:
            return found[0][0]
        time.sleep(0.01)


def test_the_same_request_again_gets_the_first_answer(client):
    first, again = send(client), send(client)
    assert (first.status_code, first.json()["count"], effects()) == (201, 1, 1)
    assert first["Location"] == "/api/v1/try/once/1/"
    assert "Idempotency-Replayed" not in first
    assert again.status_code == 201
    assert again.content == first.content
    assert again["Content-Type"] == first["Content-Type"] == "application/json"
    assert again["Idempotency-Replayed"] == "true"


def test_the_order_of_members_does_not_matter(client):
    send(client, b'{"text": "a", "b": [1.50, 2]}')
    again = send(client, b'{"b":[1.50,2],"text":"a"}')
    assert (again.status_code, effects()) == (201, 1)


def test_another_request_under_the_key_is_refused(client):
    send(client)
    assert_problem(send(client, {"text": "b"}), 422, "idempotency_key_reused")
    assert_problem(send(client, path="once-required"), 422, "idempotency_key_reused")
    assert effects() == 1


def test_keys_belong_to_their_caller(client):
    send(client)
    other = send(signed_in(make_person()))
    assert other.json()["count"] == 2
    assert "Idempotency-Replayed" not in other


def test_without_a_key_every_request_counts(client):
    assert send(client, key=None).json()["atomic"] is True  # the test's own transaction
    send(client, key=None)
    assert (effects(), IdempotencyKey.objects.count()) == (2, 0)


def test_key_may_be_required(client):
    assert_problem(send(client, key=None, path="once-required"), 400, "idempotency_key_missing")
    assert effects() == 0


@pytest.mark.parametrize("key", ["", "a b", "a" * 129, "कुञ्जी", "tab\t"])
def test_odd_keys_are_refused(client, key):
    assert_problem(send(client, key=key), 400, "invalid")
    assert effects() == 0


def test_longest_key(client):
    assert send(client, key="~" * 128).status_code == 201


def test_a_refusal_leaves_nothing_but_its_hook(client):
    routes.after_rollback.clear()
    for expected in (1, 2):
        assert_problem(send(client, {"refuse": True}), 422, "refused")
        assert len(routes.after_rollback) == expected
    assert (effects(), IdempotencyKey.objects.count()) == (0, 0)
    assert send(client).status_code == 201


@pytest.mark.parametrize("status", [400, 409, 302])
def test_an_answer_that_is_no_success_is_rolled_back(client, status):
    assert send(client, {"status": status}).status_code == status
    assert (effects(), IdempotencyKey.objects.count()) == (0, 0)


def test_a_signed_in_caller_only():
    assert_problem(send(anonymous()), 401, "not_authenticated")


@pytest.mark.django_db(transaction=True)
def test_a_second_send_meanwhile_does_not_wait(client):
    answers = []

    def slow():
        try:
            answers.append(send(client, {"text": "a", "sleep": 1.0}))
        finally:
            connections.close_all()

    thread = threading.Thread(target=slow)
    thread.start()
    holder_of_the_key()
    watch = Stopwatch()
    meanwhile = send(client, {"text": "a", "sleep": 1.0})
    assert watch.seconds < 0.9
    assert_problem(meanwhile, 409, "request_in_progress")
    assert meanwhile["Retry-After"] == "1"
    thread.join()
    assert answers[0].status_code == 201
    assert send(client, {"text": "a", "sleep": 1.0}).content == answers[0].content
    assert effects() == 1


@pytest.mark.django_db(transaction=True)
def test_a_crowd_makes_one_effect(client):
    answers = []
    outcomes = crowd(lambda: answers.append(send(client)), 8)
    assert outcomes == {"ok": 8}
    statuses = {answer.status_code for answer in answers}
    assert statuses <= {201, 409}
    assert effects() == 1
    created = [a for a in answers if a.status_code == 201]
    assert len([a for a in created if "Idempotency-Replayed" not in a]) == 1
    assert len({a.content for a in created}) == 1


@pytest.mark.django_db(transaction=True)
def test_a_crash_before_the_commit_leaves_the_key_free(client):
    answers = []

    def doomed():
        try:
            answers.append(send(client, {"text": "a", "sleep": 20}))
        finally:
            connections.close_all()

    thread = threading.Thread(target=doomed)
    thread.start()
    sql.fetch("SELECT pg_terminate_backend(%s)", [holder_of_the_key()])
    thread.join()
    assert_problem(answers[0], 503, "database_unavailable")
    assert effects() == 0
    assert send(client).json()["count"] == 1
