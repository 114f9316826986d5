"""What a process has loaded: a worker no page, the checks of the admin what they check, the web everything."""

import subprocess
import sys

import pytest

from tests.processes import ROOT, environment

LOADED = """
import sys
print(*(name in sys.modules for name in ("orders.tasks", "orders.admin", "khaacho.urls", "rest_framework.views")))
"""
WORKER = f"""
from khaacho.celery import app
app.loader.import_default_modules()
import orders.tasks
{LOADED}
"""
CHECKED = f"""
import django
django.setup()
from django.core import checks
assert checks.run_checks(tags=["admin"]) == []
{LOADED}
"""
WEB = f"""
import khaacho.wsgi
{LOADED}
"""


@pytest.mark.parametrize(
    ("program", "loaded"),
    [
        (WORKER, "True False False False"),
        (CHECKED, "False True False False"),
        (WEB, "False True True True"),
    ],
    ids=["worker", "checks of the admin", "web"],
)
def test_each_loads_what_it_needs(program: str, loaded: str):
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.strip() == loaded
