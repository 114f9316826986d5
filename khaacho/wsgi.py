"""The web entry point. Web processes pool their connections; commands and workers do not."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "khaacho.settings")
os.environ.setdefault("DB_POOL_MAX", "50")

from django.core.wsgi import get_wsgi_application

application = get_wsgi_application()
