from django.apps import AppConfig


class CreditConfig(AppConfig):
    name = "credit"

    def ready(self) -> None:
        from khaacho import tenants
        from khaacho.enums import Role

        tenants.register(Role.RETAILER, "credit.selectors.retailer_id_of")
