"""The web entry point. Web processes pool their connections; commands and workers do not."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "khaacho.settings")
os.environ.setdefault("DB_POOL_MAX", "50")

from importlib import import_module

from django.conf import settings
from django.core.wsgi import get_wsgi_application

application = get_wsgi_application()
# Before the processes are forked: all of them share the pages' code, and no first request waits for it.
import_module(settings.ROOT_URLCONF)
