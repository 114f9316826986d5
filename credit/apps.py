from django.apps import AppConfig


class CreditConfig(AppConfig):
    name = "credit"

    def ready(self) -> None:
        from django.core.checks import register

        from credit.checks import score_version
        from khaacho import jobs, schedules, tenants
        from khaacho.enums import Queue, Role

        register(score_version)
        tenants.register(Role.RETAILER, "credit.selectors.retailer_id_of")
        for name in ("suggest_limit", "suggest_limits"):
            jobs.register(f"credit.{name}", f"credit.tasks.{name}", queue=Queue.CREDIT_SCORE)
        schedules.register("limits that credit scores suggest", "credit.suggest_limits", at=(3, 30))
