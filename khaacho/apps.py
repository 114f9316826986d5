import gc

from django.apps import AppConfig


class KhaachoConfig(AppConfig):
    name = "khaacho"
    verbose_name = "Khaacho"

    def ready(self) -> None:
        from khaacho import caches, jobs, purging, schedules
        from khaacho.enums import Queue

        jobs.register(caches.FORGET_ALL, "khaacho.caches.forget_all", queue=Queue.ORDER_PROCESSING)
        jobs.register(purging.KIND, "khaacho.purging.purge", queue=Queue.REPORTS, atomic=False)
        schedules.register("purge of what is kept no longer", purging.KIND, at=(4, 0))
        gc.freeze()  # what is loaded by now stays for good and is not looked through again
        gc.enable()
