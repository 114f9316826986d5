"""The site's WSGI application with the reference beside it, for measurements over HTTP."""

from django.conf import settings

from khaacho.wsgi import application

settings.ROOT_URLCONF = "bench.reference.urls"

__all__ = ["application"]
