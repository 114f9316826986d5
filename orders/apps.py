from datetime import timedelta

from django.apps import AppConfig


class OrdersConfig(AppConfig):
    name = "orders"

    def ready(self) -> None:
        from django.core.checks import register

        from khaacho import events, jobs, schedules
        from khaacho.enums import Queue
        from orders.checks import routing_weights
        from orders.events import OrderCancelled, OrderCompleted

        register(routing_weights)
        jobs.register("orders.route", "orders.tasks.route", queue=Queue.ORDER_ROUTING)
        jobs.register("orders.expire", "orders.tasks.expire", queue=Queue.ORDER_ROUTING)
        for name in ("find_expired", "find_completable", "complete"):
            jobs.register(f"orders.{name}", f"orders.tasks.{name}", queue=Queue.ORDER_PROCESSING)
        jobs.register(  # long work by night, as reports are
            "orders.mark_overdue", "orders.tasks.mark_overdue", queue=Queue.REPORTS, atomic=False
        )
        jobs.register(
            "orders.refresh_statistics",
            "orders.tasks.refresh_statistics",
            queue=Queue.ORDER_PROCESSING,
        )
        events.subscribe(OrderCompleted, "orders.handlers.order_closed")
        events.subscribe(OrderCancelled, "orders.handlers.order_closed")
        schedules.register(
            "vendor acceptances past their deadline",
            "orders.find_expired",
            every=timedelta(minutes=1),
        )
        schedules.register(
            "orders delivered three days ago", "orders.find_completable", every=timedelta(hours=1)
        )
        schedules.register("dues past their date", "orders.mark_overdue", at=(6, 0))
