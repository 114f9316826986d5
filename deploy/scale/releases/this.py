"""The settings of this checkout, and what the demo's test asks for to be quick.

With SCALE_JOB_SECONDS no kind of job has longer than that. With SCALE_CHEAP static files are not squeezed and passwords not hashed
dearly, which would take a third of the time of a small day.
"""

import os

from khaacho.settings import *  # noqa: F403

INSTALLED_APPS = [*INSTALLED_APPS]  # noqa: F405
if os.environ.get("SCALE_JOB_SECONDS"):
    INSTALLED_APPS.append("deploy.scale.releases.apps.Limits")
if os.environ.get("SCALE_CHEAP"):
    plain = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    STORAGES = {**STORAGES, "staticfiles": plain}  # noqa: F405
    PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
