from django.apps import AppConfig


class KhaachoConfig(AppConfig):
    name = "khaacho"
    verbose_name = "Khaacho"
