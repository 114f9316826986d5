from django.urls import URLPattern, URLResolver, path, re_path

from monitoring.api import database, reports
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
    re_path(r"^monitoring/slow-queries/?$", database.SlowQueries.as_view(), name="slow-queries"),
    re_path(r"^monitoring/index-usage/?$", database.IndexUsage.as_view(), name="index-usage"),
    re_path(r"^monitoring/table-bloat/?$", database.TableBloat.as_view(), name="table-bloat"),
    re_path(
        r"^monitoring/missing-indexes/?$",
        database.MissingIndexes.as_view(),
        name="missing-indexes",
    ),
]
