"""A recorder that has seen nothing, and leaves nothing to the next test."""

from collections.abc import Iterator

import pytest
from django.db import connections

from monitoring.sources import publishing
from monitoring.sources.recorder import Recorder, recorder


@pytest.fixture(autouse=True)
def seen() -> Iterator[Recorder]:
    publishing._told.clear()
    recorder.forget()
    yield recorder
    recorder.forget()
    publishing._told.clear()


@pytest.fixture
def _monitor_closed() -> Iterator[None]:
    """Leave no connection of the monitoring to the next test."""
    yield
    connections["monitor"].close()
