from django.urls import URLPattern, URLResolver, path, re_path

from monitoring.api.dashboard import DashboardView
from monitoring.api.health import HealthDetailsView, HealthView
from monitoring.api.queues import QueueStatsView

urlpatterns: list[URLPattern | URLResolver] = [
    path("dashboard/", DashboardView.as_view(), name="dashboard"),
    re_path(r"^health/?$", HealthView.as_view(), name="health"),
    re_path(r"^health/details/?$", HealthDetailsView.as_view(), name="health-details"),
    re_path(r"^queues/stats/?$", QueueStatsView.as_view(), name="queues-stats"),
]
