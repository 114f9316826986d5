from django.apps import AppConfig


class KhaachoConfig(AppConfig):
    name = "khaacho"
    verbose_name = "Khaacho"

    def ready(self) -> None:
        from khaacho import caches, jobs
        from khaacho.enums import Queue

        jobs.register(caches.FORGET_ALL, "khaacho.caches.forget_all", queue=Queue.ORDER_PROCESSING)
