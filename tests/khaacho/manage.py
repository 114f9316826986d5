"""`python -m tests.khaacho.manage`: manage.py, which knows the tests' kinds too."""

import sys

from django.core.management import execute_from_command_line

from tests.khaacho import worker_app

assert worker_app.app
execute_from_command_line(sys.argv)
