from datetime import timedelta

from django.apps import AppConfig


class MonitoringConfig(AppConfig):
    name = "monitoring"

    def ready(self) -> None:
        from khaacho import jobs, schedules
        from khaacho.enums import Queue

        jobs.register(
            "monitoring.reconcile",
            "monitoring.tasks.reconcile",
            queue=Queue.REPORTS,
        )
        schedules.register("nightly reconciliation", "monitoring.reconcile", at=(3, 0))
        # The queue that is least often long by day; what is not counted yet is read from `jobs`.
        jobs.register(
            "monitoring.count_jobs", "monitoring.tasks.count_jobs", queue=Queue.CREDIT_SCORE
        )
        schedules.register(
            "jobs done by the minute", "monitoring.count_jobs", every=timedelta(minutes=1)
        )
