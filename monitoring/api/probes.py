from django.urls import re_path

from monitoring.api.health import livez, readyz

urlpatterns = [
    re_path(r"^livez/?$", livez, name="livez"),
    re_path(r"^readyz/?$", readyz, name="readyz"),
]
