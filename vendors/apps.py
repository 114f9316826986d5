from django.apps import AppConfig


class VendorsConfig(AppConfig):
    name = "vendors"

    def ready(self) -> None:
        from khaacho import tenants
        from khaacho.enums import Role

        tenants.register(Role.VENDOR, "vendors.selectors.vendor_id_of")
