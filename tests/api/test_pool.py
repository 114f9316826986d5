"""How the pools of all processes are doing, for whoever watches by machine."""

import json
import time

import pytest
import redis as redis_py
from django.conf import settings as django_settings

from khaacho.enums import Role
from monitoring.sources import pool
from tests.api.clients import anonymous, assert_problem, make_person, signed_in
from tests.processes import free_port

pytestmark = pytest.mark.django_db

PATHS = ("/api/v1/monitoring/pool", "/api/v1/monitoring/pool/")
TOTALS = {
    "processes": 0,
    "size": 0,
    "max": 0,
    "available": 0,
    "waiting": 0,
    "requests": 0,
    "requests_waited": 0,
    "wait_ms": 0,
    "errors": 0,
}


def test_for_staff_alone():
    for path in PATHS:
        assert_problem(anonymous().get(path), 401, "not_authenticated")
        for role in (Role.RETAILER, Role.VENDOR):
            assert_problem(signed_in(make_person(role)).get(path), 403, "permission_denied")
        assert signed_in(make_person(Role.OPERATOR)).get(path).status_code == 200


def test_each_process_and_the_sums():
    stats = {
        "pool_min": 1,
        "pool_max": 2,
        "pool_size": 2,
        "pool_available": 0,
        "requests_num": 9,
        "requests_queued": 4,
        "requests_wait_ms": 120,
        "requests_waiting": 1,
    }
    with redis_py.Redis.from_url(django_settings.REDIS_URL) as client:
        client.set(f"{pool.PREFIX}web1:7", json.dumps(stats), ex=60)
        client.zadd(pool.NAMES, {"web1:7": time.time() + 60})
    response = signed_in(make_person()).get(PATHS[0])
    assert response["Cache-Control"] == "no-store"
    body = response.json()
    figures = {
        "size": 2,
        "max": 2,
        "available": 0,
        "waiting": 1,
        "requests": 9,
        "requests_waited": 4,
        "wait_ms": 120,
        "errors": 0,
    }
    assert 0 <= body["processes"][0].pop("seen_seconds") < 10
    assert body == {
        "redis": "ok",
        "processes": [{"name": "web1:7", "min": 1, "exhausted": True, **figures}],
        "totals": {"processes": 1, **figures},
    }


def test_nobody_with_a_pool():
    body = signed_in(make_person()).get(PATHS[0]).json()
    assert body == {"redis": "ok", "processes": [], "totals": TOTALS}


def test_with_redis_down_it_says_so(settings):
    client = signed_in(make_person())
    settings.REDIS_URL = f"redis://127.0.0.1:{free_port()}/0"
    response = client.get(PATHS[0])
    assert response.status_code == 200
    assert response.json() == {"redis": "down", "processes": [], "totals": TOTALS}
