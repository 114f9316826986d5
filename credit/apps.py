from django.apps import AppConfig


class CreditConfig(AppConfig):
    name = "credit"

    def ready(self) -> None:
        from django.core.checks import register

        from credit.checks import score_version
        from khaacho import tenants
        from khaacho.enums import Role

        register(score_version)
        tenants.register(Role.RETAILER, "credit.selectors.retailer_id_of")
