#!/usr/bin/env python
"""Run Django's commands: `python manage.py help`."""

import gc
import os
import sys

from django.core.management import execute_from_command_line

from khaacho.configuration import Misconfigured

if __name__ == "__main__":
    gc.disable()  # until all is loaded (khaacho/apps.py): no garbage is in it, and to look is a tenth of the start
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "khaacho.settings")
    try:
        execute_from_command_line(sys.argv)
    except Misconfigured as error:
        sys.exit(f"The configuration is wrong (docs/configuration.md):\n{error}")
