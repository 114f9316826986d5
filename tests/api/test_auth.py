"""Signing in, rotating, signing out; and what no token may do."""

import logging
import time
from datetime import timedelta

import jwt
import pytest
from django.core import signing
from django.utils import timezone

from khaacho import sign_ins, sql, tenants, tokens
from khaacho.actors import Actor
from khaacho.enums import Role
from khaacho.models import RefreshToken, SignInFailure, User
from khaacho.phones import normalise_phone
from khaacho.tenants import actor_of
from tests.api.clients import (
    JSON,
    PASSWORD,
    anonymous,
    assert_problem,
    bearer,
    make_person,
    signed_in,
)
from tests.races import crowd

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.api.routes")]


def shop_of(user_id: int) -> int:
    return user_id + 1000


@pytest.fixture(autouse=True)
def _tenants(monkeypatch):
    monkeypatch.setattr(tenants, "_selectors", {})
    tenants.register(Role.RETAILER, f"{__name__}.shop_of")


def sign_in(phone, password=PASSWORD, **options):
    body = {"phone": phone, "password": password}
    return anonymous().post("/api/v1/auth/token/", body, JSON, **options)


def refresh(token, path="refresh"):
    return anonymous().post(f"/api/v1/auth/{path}/", {"refresh": token}, JSON)


def me(token):
    return anonymous().get("/api/v1/auth/me/", headers={"Authorization": f"Bearer {token}"})


def test_signs_in():
    user = make_person(Role.RETAILER)
    response = sign_in(user.phone)
    assert response.status_code == 200
    assert response["Cache-Control"] == "no-store"
    body = response.json()
    assert list(body) == ["access", "refresh", "expires_in", "user"]
    assert body["expires_in"] == 300
    assert body["user"] == {
        "id": user.pk,
        "name": "Sita",
        "role": "RETAILER",
        "retailer_id": user.pk + 1000,
        "vendor_id": None,
    }
    user.refresh_from_db()
    assert user.last_login is not None
    shown = me(body["access"]).json()
    assert shown == {**body["user"], "phone": user.phone, "language": "ne"}


def test_access_token_carries_the_actor(django_assert_num_queries):
    user = make_person(Role.RETAILER)
    token = sign_in(user.phone).json()["access"]
    with django_assert_num_queries(0):
        actor = tokens.read_access_token(token)
    assert actor == actor_of(user) == Actor(user.pk, Role.RETAILER, "Sita", user.pk + 1000)


@pytest.mark.parametrize(
    "written", ["9797123456", "+977 979-7123456", "00977 9797123456", "९७९७१२३४५६"]
)
def test_phone_may_be_written_in_other_ways(written):
    User.objects.create_user("+9779797123456", PASSWORD, name="Sita", role=Role.OPERATOR)
    assert sign_in(written).status_code == 200


def test_impossible_phones():
    for text in ("", "abc", "12", "9" * 300, "+", "\u0000"):
        assert normalise_phone(text) is None


def test_wrong_password_unknown_phone_and_inactive_user_answer_alike():
    known, inactive = make_person(), make_person(is_active=False)
    deleted = make_person(deleted_at=timezone.now())
    answers = [
        sign_in(known.phone, "wrong"),
        sign_in("+9779700000000"),
        sign_in("not a phone"),
        sign_in(inactive.phone),
        sign_in(deleted.phone),
    ]
    for answer in answers:
        document = assert_problem(answer, 401, "sign_in_refused")
        assert document | {"request_id": ""} == answers[0].json() | {"request_id": ""}
    assert RefreshToken.objects.count() == 0


def test_malformed_sign_in():
    for body in ({}, {"phone": 1, "password": 2}, {"phone": "9", "password": "x" * 129}):
        response = anonymous().post("/api/v1/auth/token/", body, JSON)
        assert_problem(response, 400, "invalid")
    assert SignInFailure.objects.count() == 0


def test_refusal_is_logged_without_the_phone(caplog):
    caplog.set_level(logging.INFO)
    user = make_person()
    sign_in(user.phone, "wrong")
    (record,) = [r for r in caplog.records if r.name == "khaacho.rejections"]
    assert (record.status, record.code) == (401, "sign_in_refused")
    assert all(user.phone not in str(vars(r)) for r in caplog.records)


def age(seconds):
    sql.execute(
        "UPDATE sign_in_failures SET created_at = created_at - make_interval(secs => %s)", [seconds]
    )


def test_a_phone_waits_longer_after_each_failure():
    user = make_person()
    for _ in range(5):
        assert_problem(sign_in(user.phone, "wrong"), 401, "sign_in_refused")
    for wait in (30, 60, 120):
        refused = sign_in(user.phone)  # even with the right password
        document = assert_problem(refused, 429, "too_many_sign_in_failures")
        assert wait - 5 <= int(refused["Retry-After"]) == document["retry_after"] <= wait
        age(wait)
        assert_problem(sign_in(user.phone, "wrong"), 401, "sign_in_refused")
    age(900)
    assert sign_in(user.phone).status_code == 200


def test_waiting_requests_do_not_lengthen_the_wait():
    user = make_person()
    for _ in range(9):
        sign_in(user.phone, "wrong")
    assert SignInFailure.objects.count() == 5
    age(30)
    assert sign_in(user.phone).status_code == 200


def test_success_clears_the_phone():
    user = make_person()
    for _ in range(4):
        sign_in(user.phone, "wrong")
    assert sign_in(user.phone).status_code == 200
    assert SignInFailure.objects.count() == 0


def test_an_address_waits_whatever_phone_it_tries():
    for i in range(20):
        assert sign_in(f"+97797999{i:05}", REMOTE_ADDR="192.0.2.7").status_code == 401
    user = make_person()
    assert_problem(sign_in(user.phone, REMOTE_ADDR="192.0.2.7"), 429, "too_many_sign_in_failures")
    assert sign_in(user.phone, REMOTE_ADDR="192.0.2.8").status_code == 200


@pytest.mark.parametrize(
    ("proxies", "remote", "forwarded", "counted"),
    [
        (0, "192.0.2.7", "198.51.100.1", "192.0.2.7"),
        (1, "10.0.0.1", "203.0.113.9, 198.51.100.1", "198.51.100.1"),
        (2, "10.0.0.1", "203.0.113.9, 198.51.100.1", "203.0.113.9"),
        (1, "10.0.0.1", "", None),
        (0, "", "", None),
        (0, "2001:db8:1:2:3::4", "", "2001:db8:1:2::"),
        (0, "::ffff:192.0.2.7", "", "192.0.2.7"),
    ],
)
def test_the_address_that_counts(settings, proxies, remote, forwarded, counted):
    settings.REST_FRAMEWORK = {**settings.REST_FRAMEWORK, "NUM_PROXIES": proxies}
    headers = {"X-Forwarded-For": forwarded} if forwarded else {}
    sign_in("9797000001", "wrong", REMOTE_ADDR=remote, headers=headers)
    assert SignInFailure.objects.get().address == counted


@pytest.mark.django_db(transaction=True)
def test_many_guesses_at_once_are_no_cheaper():
    user = make_person()
    answers = []
    crowd(lambda: answers.append(sign_in(user.phone, "wrong").status_code), 12)
    assert sorted(answers) == [401] * 5 + [429] * 7


def forge(user, key=None, algorithm="HS256", **claims):
    base = {
        "iss": tokens.ISSUER,
        "aud": tokens.AUDIENCE,
        "sub": str(user.pk),
        "exp": timezone.now() + timedelta(minutes=5),
        "role": user.role,
        "name": "x",
    }
    merged = {k: v for k, v in {**base, **claims}.items() if v is not None}
    return jwt.encode(merged, tokens._key("s" * 40) if key is None else key, algorithm)


@pytest.fixture
def _secret(settings):
    settings.SECRET_KEY = "s" * 40
    settings.SECRET_KEY_FALLBACKS = []


@pytest.mark.usefixtures("_secret")
@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
def test_forged_and_stale_tokens():
    user = make_person()
    good = forge(user)
    assert me(good).status_code == 200
    head, body, signature = good.split(".")
    bad = [
        "",
        "x",
        "a.b.c",
        f"{head}.{body}.",
        f"{head}.{body}.{signature[:-2]}xx",
        forge(user, key="", algorithm="none"),
        forge(user, key=b"s" * 40),  # SECRET_KEY itself signs no token
        forge(user, algorithm="HS512"),
        forge(user, iss="other"),
        forge(user, aud="other"),
        forge(user, aud=None),
        forge(user, sub=None),
        forge(user, sub="me"),
        forge(user, exp=None),
        forge(user, role=None),
        forge(user, role="KING"),
        signing.dumps({"sub": user.pk}),
    ]
    for token in bad:
        response = me(token)
        assert_problem(response, 401, "token_invalid")
        assert response["WWW-Authenticate"] == 'Bearer realm="khaacho"'
    assert_problem(me(forge(user, exp=timezone.now() - timedelta(seconds=9))), 401, "token_expired")
    assert me(forge(user, exp=timezone.now() - timedelta(seconds=2))).status_code == 200


@pytest.mark.usefixtures("_secret")
def test_a_token_that_was_good_expires(monkeypatch):
    """It is verified once and remembered; its time is looked at whenever it comes."""
    token = forge(make_person(), exp=timezone.now() + timedelta(seconds=60))
    assert me(token).status_code == 200
    later = time.time() + 60 + tokens.LEEWAY + 1
    monkeypatch.setattr(time, "time", lambda: later)
    assert_problem(me(token), 401, "token_expired")


@pytest.mark.usefixtures("_secret")
def test_tokens_outlive_a_change_of_the_secret(settings):
    token = forge(make_person())
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "n" * 40, ["s" * 40]
    assert me(token).status_code == 200
    settings.SECRET_KEY_FALLBACKS = []
    assert_problem(me(token), 401, "token_invalid")


def test_other_schemes_are_no_sign_in():
    response = anonymous().get("/api/v1/auth/me/", headers={"Authorization": "Basic YTpi"})
    assert_problem(response, 401, "not_authenticated")


def test_a_stale_token_does_not_stop_signing_in():
    user = make_person()
    headers = {"Authorization": "Bearer stale"}
    assert sign_in(user.phone, headers=headers).status_code == 200
    assert anonymous(headers=headers).get("/api/v1/health").status_code == 200


def test_me_of_a_revoked_user():
    user = make_person()
    client = signed_in(user)
    User.objects.filter(pk=user.pk).update(is_active=False)
    assert_problem(client.get("/api/v1/auth/me/"), 401, "token_invalid")


def test_refresh_rotates():
    first = sign_in(make_person().phone).json()
    second = refresh(first["refresh"]).json()
    assert second["refresh"] != first["refresh"]
    assert second["user"] == first["user"]
    assert me(second["access"]).status_code == 200
    assert RefreshToken.objects.values("family").distinct().count() == 1
    assert refresh(second["refresh"]).status_code == 200


def test_a_reused_refresh_token_revokes_its_family():
    user = make_person()
    first, other = sign_in(user.phone).json(), sign_in(user.phone).json()
    second = refresh(first["refresh"]).json()
    assert_problem(refresh(first["refresh"]), 401, "token_invalid")
    assert_problem(refresh(second["refresh"]), 401, "token_invalid")
    assert refresh(other["refresh"]).status_code == 200


def test_a_rotation_that_a_revocation_overtook_is_dead():
    first = sign_in(make_person().phone).json()
    second = refresh(first["refresh"]).json()
    sql.execute("UPDATE refresh_tokens SET revoked_at = now() WHERE used_at IS NOT NULL")
    assert_problem(refresh(second["refresh"]), 401, "token_invalid")


def test_refresh_tokens_are_stored_as_digests():
    token = sign_in(make_person().phone).json()["refresh"]
    assert token not in str(RefreshToken.objects.values_list())


def test_refresh_expires_by_the_databases_clock():
    token = sign_in(make_person().phone).json()["refresh"]
    (lifetime,) = sql.fetch_one("SELECT expires_at - created_at FROM refresh_tokens")
    assert abs(lifetime - timedelta(days=30)) < timedelta(seconds=1)
    sql.execute("UPDATE refresh_tokens SET expires_at = now()")
    assert_problem(refresh(token), 401, "token_invalid")


@pytest.mark.parametrize("change", [{"is_active": False}, {"deleted_at": timezone.now()}])
def test_refresh_of_an_inactive_user(change):
    user = make_person()
    token = sign_in(user.phone).json()["refresh"]
    User.objects.filter(pk=user.pk).update(**change)
    assert_problem(refresh(token), 401, "token_invalid")


def test_refresh_learns_of_a_change_of_role():
    user = make_person(Role.OPERATOR)
    token = sign_in(user.phone).json()["refresh"]
    User.objects.filter(pk=user.pk).update(role=Role.RETAILER)
    assert refresh(token).json()["user"]["role"] == "RETAILER"


def test_nonsense_refreshes():
    assert_problem(refresh("nonsense"), 401, "token_invalid")
    assert_problem(refresh(""), 400, "invalid")


def test_logout_revokes_the_family():
    first = sign_in(make_person().phone).json()
    second = refresh(first["refresh"]).json()
    for _ in range(2):
        assert refresh(second["refresh"], "logout").status_code == 204
    assert_problem(refresh(second["refresh"]), 401, "token_invalid")
    assert refresh("nonsense", "logout").status_code == 204


def test_revoke_all_of_a_user():
    user = make_person()
    token = sign_in(user.phone).json()["refresh"]
    tokens.revoke_all(user.pk)
    assert_problem(refresh(token), 401, "token_invalid")


@pytest.mark.django_db(transaction=True)
def test_exactly_one_of_many_refreshes_wins():
    token = sign_in(make_person().phone).json()["refresh"]
    answers = []
    crowd(lambda: answers.append(refresh(token)), 8)
    assert sorted(a.status_code for a in answers) == [200] + [401] * 7
    (winner,) = [a.json() for a in answers if a.status_code == 200]
    assert_problem(refresh(winner["refresh"]), 401, "token_invalid")  # the family is revoked


def test_staff_have_no_tenant():
    assert actor_of(make_person(Role.ADMIN)) == Actor(
        User.objects.get().pk, Role.ADMIN, "Sita", None, None
    )
    assert bearer(User.objects.get()).startswith("Bearer ")


def test_waits_are_bounded():
    assert sign_ins.FIRST_WAIT * 2**20 > sign_ins.LONGEST_WAIT == 900
