"""Secrets planted through the site's real doors: web processes and a worker log, and none comes up.

On the way: each kind of refusal is in its file, and a request is followed into its jobs.
"""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from django.db import transaction

from khaacho import jobs
from khaacho.models import Job
from khaacho.signatures import sign
from tests.api.clients import bearer, make_person
from tests.api.trade import fresh_key
from tests.factories import make_offer, make_retailer
from tests.khaacho.planting import LATIN, Garden, lines_of
from tests.processes import free_port, process, redis_server, wait_for
from tests.whatsapp.meta import envelope, text

pytestmark = [pytest.mark.processes, pytest.mark.patient, pytest.mark.django_db(transaction=True)]

SECRET = "app-secret-of-the-tests"
GUNICORN = ("-m", "gunicorn", "-c", "deploy/local/gunicorn.conf.py", "--access-logfile", "-")
WORKER = ("-m", "celery", "-A", "tests.khaacho.worker_app", "worker", "-c", "2", "-l", "warning")
QUICK = ("--without-gossip", "--without-mingle", "--without-heartbeat")
TIMES = 38


@pytest.fixture
def site(tmp_path: Path, settings: Any) -> Iterator[tuple[httpx.Client, Path]]:
    """Two web processes and a worker, each with children, that share their log files."""
    files, port = tmp_path / "logs", free_port()
    with redis_server() as server:
        settings.CELERY_BROKER_URL = server.url  # of the jobs that the test itself makes
        env = {
            "LOG_DIR": str(files),
            "REDIS_URL": server.url,
            "CACHE_URL": server.url,
            "CELERY_BROKER_URL": server.url,
            "STATIC_ROOT": str(tmp_path),
            "PORT": str(port),
            "WEB_CONCURRENCY": "2",
            "WHATSAPP_APP_SECRETS": SECRET,
            "SLOW_QUERY_MS": "1",
            "RATE_WRITE": "200",
            "RATE_READ": "100",
            "LOG_REQUESTS": "all",
            # Passwords are hashed cheaply: more than a hundred are tried.
            "DJANGO_SETTINGS_MODULE": "deploy.scale.releases.this",
            "SCALE_CHEAP": "1",
        }
        with (
            process(*GUNICORN, "khaacho.wsgi", log=tmp_path / "web.log", **env),
            process(*WORKER, *QUICK, log=tmp_path / "worker.log", **env),
            httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client,
        ):
            wait_for(lambda: _answers(client), seconds=40, what="the web process")
            wait_for(lambda: _is_ready(files), seconds=40, what="the worker")
            yield client, files


def _answers(client: httpx.Client) -> bool:
    try:
        return client.get("/livez").status_code == 200
    except httpx.TransportError:
        return False


def _is_ready(files: Path) -> bool:
    return any(each["event"].endswith(" ready.") for each in lines_of(files, "combined"))


def plant(client: httpx.Client, garden: Garden) -> Counter[int]:
    """Knock at every kind of door with secrets; return how often each status came back."""
    api, answers = "/api/v1", []
    operator = {"Authorization": bearer(make_person())}
    client.get("/admin/login/")
    csrf = client.cookies["csrftoken"]
    for _ in range(TIMES):
        phone, password, token = garden.phone(), garden.password(), garden.token()
        words = garden.words()
        query = {"phone": garden.phone(), "q": garden.token(), "password": garden.password()}
        more = {
            "from": garden.phone(),
            "key": garden.token(),
            "to": garden.phone(),
            "x": garden.token(),
        }
        more |= {f"p{number}": garden.phone() for number in range(5)}
        more |= {f"t{number}": garden.token() for number in range(5)}
        cookies = {
            "Cookie": f"sessionid={garden.random.randbytes(16).hex()}; csrftoken={garden.token()}"
        }
        headers = {
            "Authorization": f"Bearer {garden.token()}",
            "X-Request-ID": garden.phone().translate(LATIN),
        }
        body = {"phone": phone, "password": password}
        answers += [
            client.post(f"{api}/auth/token/", json=body),
            client.post(f"{api}/auth/refresh/", json={"refresh": token}),
            client.post(f"{api}/auth/register/", json={**body, "name": words}),
            client.post(f"{api}/auth/token/", content=f'{{"phone": "{phone}", "password"'.encode()),
            client.get(f"{api}/orders/", params=query, headers=headers),
            client.get(f"{api}/orders/", params=query | more, headers=operator | cookies),
            client.get(f"{api}/retailers/{phone}/", headers=operator),
            client.get(f"{api}/whatsapp/webhook", params={"hub.verify_token": token}),
            client.post(
                "/admin/login/",
                data={"username": phone, "password": password, "csrfmiddlewaretoken": csrf},
                params=query,
            ),
        ]
        message = envelope(text(garden.phone(), words))
        signed = {"X-Hub-Signature-256": sign(message, SECRET)}
        forged = {"X-Hub-Signature-256": f"sha256={garden.token()}"}
        answers += [
            client.post(f"{api}/whatsapp/webhook", content=message, headers=signed),
            client.post(f"{api}/whatsapp/webhook", content=message, headers=forged),
        ]
        odd = json.dumps(
            {"entry": [{"changes": [{"value": {"messages": [words, phone]}}]}]}
        ).encode()
        signed = {"X-Hub-Signature-256": sign(odd, SECRET)}
        answers.append(client.post(f"{api}/whatsapp/webhook", content=odd, headers=signed))
        with transaction.atomic():
            jobs.enqueue("test.clash", {"phone": garden.phone(), "secret": garden.password()})
    return Counter(answer.status_code for answer in answers)


def refuse_orders(client: httpx.Client) -> dict[str, str]:
    """Be refused in each way; return the request's id of each."""
    shop, offer = make_retailer(credit_limit=100), make_offer(price=500)
    owner = {"Authorization": bearer(shop.user)}
    order = {
        "vendor_id": offer.vendor_id,
        "items": [{"product_id": offer.product_id, "quantity": 1}],
        "payment_terms": "CREDIT",
    }
    orders = "/api/v1/orders/"

    def post(headers: dict[str, str], body: object) -> httpx.Response:
        return client.post(orders, json=body, headers={**headers, "Idempotency-Key": fresh_key()})

    vendor = {"Authorization": bearer(offer.vendor.user)}
    answers = {
        "unauthenticated": (401, post({}, order)),
        "forbidden": (403, post(vendor, order)),
        "malformed": (400, post(owner, {"items": []})),
        "over_limit": (422, post(owner, order)),
        "signature": (401, client.post("/api/v1/whatsapp/webhook", content=b"{}")),
    }
    assert {name: answer.status_code for name, (_, answer) in answers.items()} == {
        name: status for name, (status, _) in answers.items()
    }
    for _ in range(1000):  # without Redis, for want of an answer in time, nobody counts for a while
        throttled = client.get(orders, headers=owner)
        if throttled.status_code == 429:
            break
    assert throttled.status_code == 429
    found = {name: answer.headers["X-Request-ID"] for name, (_, answer) in answers.items()}
    return {**found, "throttled": throttled.headers["X-Request-ID"]}


def followed(client: httpx.Client) -> tuple[str, int, int]:
    """Place an order by a request of a given id; return the id, the order's and its user's."""
    shop, offer = make_retailer(), make_offer()
    answer = client.post(
        "/api/v1/orders/",
        json={
            "vendor_id": offer.vendor_id,
            "items": [{"product_id": offer.product_id, "quantity": 1}],
            "payment_terms": "CREDIT",
        },
        headers={
            "Authorization": bearer(shop.user),
            "Idempotency-Key": fresh_key(),
            "X-Request-ID": "follow-me",
        },
    )
    assert answer.status_code == 201, answer.text
    assert answer.headers["X-Request-ID"] == "follow-me"
    return "follow-me", answer.json()["id"], shop.user_id


def test_no_secret_comes_up_and_what_is_to_be_found_is(site, tmp_path):
    client, files = site
    garden = Garden(6)
    refused = refuse_orders(client)
    request, order, user = followed(client)
    statuses = plant(client, garden)
    assert set(statuses) >= {200, 400, 401, 403, 404}, statuses
    assert len(garden.planted) >= 1000
    wait_for(lambda: not Job.objects.filter(state="queued", attempts=0).exists(), seconds=40)
    wait_for(lambda: not Job.objects.filter(state="running").exists(), seconds=20)
    written = [*files.glob("*.log"), tmp_path / "web.log", tmp_path / "worker.log"]
    assert {each.stem for each in files.glob("*.log")} == {
        *("combined", "error", "orders", "whatsapp", "rejections", "slow-queries")
    }
    assert garden.found_in(written) == []
    _each_refusal_is_there(files, refused)
    _the_order_is_followed(files, request, order, user)
    _gunicorns_and_celerys_lines_are_ours(files)


def _each_refusal_is_there(files: Path, refused: dict[str, str]) -> None:
    lines = {each["request_id"]: each for each in lines_of(files, "rejections")}
    found = {name: lines[number] for name, number in refused.items()}
    assert {name: (each["status"], each["code"]) for name, each in found.items()} == {
        "unauthenticated": (401, "not_authenticated"),
        "forbidden": (403, "permission_denied"),
        "malformed": (400, "invalid"),
        "over_limit": (422, "credit_limit_exceeded"),
        "signature": (401, "signature_invalid"),
        "throttled": (429, "too_many_requests"),
    }
    assert {each["path"] for each in found.values()} == {
        "/api/v1/orders/",
        "/api/v1/whatsapp/webhook",
    }
    knows_user = {name for name, each in found.items() if each.get("user_id")}
    assert knows_user == {"forbidden", "malformed", "over_limit", "throttled"}
    codes = {each.get("code") for each in lines_of(files, "rejections")}
    assert codes >= {"sign_in_refused", "too_many_sign_in_failures"}


def _the_order_is_followed(files: Path, request: str, order: int, user: int) -> None:
    lines = [each for each in lines_of(files, "combined") if each["request_id"] == request]
    events = Counter(each["event"] for each in lines)
    assert events["request.answered"] == 1
    assert events["OrderPlaced"] == 1
    assert events["job.done"] >= 2
    [answered] = [each for each in lines if each["event"] == "request.answered"]
    assert (answered["user_id"], answered["status"]) == (user, 201)
    about = [each for each in lines if each["event"] in ("OrderPlaced", "job.done")]
    assert {each["order_id"] for each in about if "message_id" not in each} == {order}
    work = [each for each in lines if each["event"] == "job.done"]
    stored = Job.objects.filter(request_id=request).values_list("pk", flat=True)
    assert {each["job_id"] for each in work} <= set(stored)
    assert {each["pid"] for each in work}.isdisjoint({answered["pid"]})
    assert {each["user_id"] for each in work} == {user}
    slow = [each for each in lines_of(files, "slow-queries") if each["request_id"] == request]
    origins = {each["origin"] for each in slow}
    assert origins, "no statement took a millisecond"
    assert all("?" in each["statement"] or "%" not in each["statement"] for each in slow)
    in_file = {each["event"] for each in lines_of(files, "orders") if each.get("order_id") == order}
    assert in_file >= {"OrderPlaced", "job.done"}


def _gunicorns_and_celerys_lines_are_ours(files: Path) -> None:
    loggers = {each["logger"] for each in lines_of(files, "combined")}
    assert loggers >= {"gunicorn.access", "gunicorn.error", "celery.apps.worker", "khaacho.jobs"}
    access = [
        each["event"] for each in lines_of(files, "combined") if each["logger"] == "gunicorn.access"
    ]
    assert any("GET /api/v1/orders/?phone=…&q=…&password=…" in each for each in access)
    dead = [each for each in lines_of(files, "error") if each["event"] == "job.failed"]
    assert any(
        "not-null constraint" in each["error"] and "contains (…)" in each["error"] for each in dead
    )
    assert all(each["job_id"] for each in dead)
