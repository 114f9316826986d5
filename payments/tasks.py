"""Jobs of payments: each fetches and calls a verb."""

from payments import services


def find_reminders() -> None:
    """Close promises and notices whose day is over, then queue today's reminders."""
    services.close_promises()
    services.lapse_notices()
    services.find_reminders()


def remind(*, retailer_id: int) -> None:
    services.plan_reminders(retailer_id=retailer_id)
