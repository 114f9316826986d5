from datetime import timedelta
from typing import Any

from django.apps import AppConfig

REPORTS_BY_THE_CLOCK: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("close_abandoned", "reports whose job died", {"every": timedelta(minutes=1)}),
    ("forget_expired", "forget expired reports", {"at": (4, 15)}),
    ("make_monthly", "statements and monthly reports", {"at": (5, 0), "day": 1}),
)


class MonitoringConfig(AppConfig):
    name = "monitoring"

    def ready(self) -> None:
        from khaacho import jobs, schedules
        from khaacho.enums import Queue
        from monitoring import services, sources
        from monitoring.maintenance import asking

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
        jobs.register(
            services.MAKE,
            "monitoring.tasks.make_report",
            queue=Queue.REPORTS,
            atomic=False,
        )
        jobs.register(
            "monitoring.advise_indexes", "monitoring.tasks.advise_indexes", queue=Queue.REPORTS
        )
        schedules.register("missing indexes", "monitoring.advise_indexes", at=(3, 30))
        jobs.register(asking.WORK, "monitoring.tasks.maintain", queue=Queue.REPORTS, atomic=False)
        for name, schedule, timing in REPORTS_BY_THE_CLOCK:
            jobs.register(
                f"reports.{name}", f"monitoring.tasks.{name}_reports", queue=Queue.ORDER_PROCESSING
            )
            schedules.register(schedule, f"reports.{name}", **timing)
        sources.begin()
        self._watch_the_database()
        self._raise_alerts()
        self._keep_backups()

    def _watch_the_database(self) -> None:
        from khaacho import jobs, schedules
        from khaacho.enums import Queue
        from monitoring.history import sampling

        jobs.register(
            "monitoring.take_sample", "monitoring.tasks.take_sample", queue=Queue.CREDIT_SCORE
        )
        # A sample says what is now: one that was missed cannot be taken later.
        schedules.register(
            "sample of the database",
            "monitoring.take_sample",
            every=sampling.EVERY,
            catch_up=sampling.EVERY,  # beat ticks somewhere in the slot; what is older is not sampled late
        )
        jobs.register(
            "monitoring.keep_history", "monitoring.tasks.keep_history", queue=Queue.CREDIT_SCORE
        )
        schedules.register("weeks of samples", "monitoring.keep_history", at=(3, 40))

    def _raise_alerts(self) -> None:
        from khaacho import jobs, purging, schedules
        from khaacho.enums import Queue
        from monitoring.alerting import notices

        minute = timedelta(minutes=1)
        jobs.register(
            "monitoring.check_alerts", "monitoring.tasks.check_alerts", queue=Queue.CREDIT_SCORE
        )
        schedules.register(
            "alerts by rule", "monitoring.check_alerts", every=minute, catch_up=minute
        )
        jobs.register(
            notices.SEND, "monitoring.tasks.send_notice", queue=Queue.CREDIT_SCORE, atomic=False
        )
        purging.register("alert_notices", notices.expired)

    def _keep_backups(self) -> None:
        from khaacho import jobs, schedules
        from khaacho.enums import Queue
        from monitoring.backups import clockwork

        for kind, task, schedule, timing in (
            ("monitoring.back_up", "back_up", "nightly backup", {"at": (2, 0)}),
            (
                "monitoring.drill_backup",
                "drill_backup",
                "restore drill",
                {"at": (4, 30), "weekday": 0},
            ),
            (
                "monitoring.archive_audit",
                "archive_audit",
                "archive of the audit log",
                {"at": (4, 45)},
            ),
        ):
            jobs.register(
                kind,
                f"monitoring.tasks.{task}",
                queue=Queue.REPORTS,
                soft_limit=clockwork.SOFT_LIMIT,
                hard_limit=clockwork.HARD_LIMIT,
                outlasts=True,
                atomic=False,
            )
            schedules.register(schedule, kind, **timing)
