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
