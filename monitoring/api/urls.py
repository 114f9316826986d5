from django.urls import URLPattern, URLResolver, path, re_path

from monitoring.api import reports
from monitoring.api.dashboard import DashboardView
from monitoring.api.health import HealthDetailsView, HealthView
from monitoring.api.pool import PoolView
from monitoring.api.queues import QueueStatsView

urlpatterns: list[URLPattern | URLResolver] = [
    path("dashboard/", DashboardView.as_view(), name="dashboard"),
    path("reports/", reports.ReportList.as_view(), name="reports"),
    path("reports/<int:report_id>/", reports.ReportDetail.as_view(), name="report"),
    path("reports/<int:report_id>/cancel/", reports.CancelReport.as_view(), name="report-cancel"),
    path(
        "reports/<int:report_id>/download/",
        reports.ReportDownload.as_view(),
        name="report-download",
    ),
    re_path(r"^health/?$", HealthView.as_view(), name="health"),
    re_path(r"^health/details/?$", HealthDetailsView.as_view(), name="health-details"),
    re_path(r"^monitoring/pool/?$", PoolView.as_view(), name="monitoring-pool"),
    re_path(r"^queues/stats/?$", QueueStatsView.as_view(), name="queues-stats"),
]
