from django.urls import re_path

from monitoring.api.health import livez, readyz
from monitoring.api.metrics import metrics

urlpatterns = [
    re_path(r"^livez/?$", livez, name="livez"),
    re_path(r"^readyz/?$", readyz, name="readyz"),
    re_path(r"^metrics/?$", metrics, name="metrics"),
]
