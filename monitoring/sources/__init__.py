"""From a statement to the code that issues it: what each process sees of its own queries, added up (ADR 36)."""

from django.conf import settings


def begin() -> None:
    """Count and publish in this process, if settings want it; called from AppConfig.ready()."""
    from khaacho import purging  # noqa: PLC0415 - models are not loaded when this package is
    from monitoring.sources import keeping, publishing, wrapper  # noqa: PLC0415

    for part in keeping.PARTS:
        purging.register(part.__name__, part)
    if settings.SOURCES:
        wrapper.begin()
        publishing.begin()
