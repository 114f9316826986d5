"""What a process has loaded: a worker no page, the checks of the admin what they check, the web everything."""

import subprocess
import sys

from tests.processes import ROOT, environment

PROGRAM = """
import sys

from khaacho.celery import app

def loaded():
    return [name in sys.modules for name in ("orders.tasks", "orders.admin", "khaacho.urls", "rest_framework.views")]

app.loader.import_default_modules()
app.tasks
import orders.tasks
print(*loaded())

from django.core import checks

assert checks.run_checks(tags=["admin"]) == []
print(*loaded()[:3])

import khaacho.wsgi

print(*loaded())
"""


def test_workers_load_no_page_and_the_web_loads_all_before_its_first_request():
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.splitlines() == [
        "True False False False",
        "True True False",
        "True True True True",
    ]
