from collections.abc import Iterator
from typing import Any

import pytest
from django.test import override_settings

from khaacho import sql
from tests.whatsapp.meta import SECRET


@pytest.fixture(scope="session", autouse=True)
def _static_root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """WhiteNoise warns of a missing directory, and warnings are errors."""
    with override_settings(STATIC_ROOT=tmp_path_factory.mktemp("static")):
        yield


@pytest.fixture(autouse=True)
def _configured(settings: Any) -> None:
    settings.WHATSAPP_APP_SECRETS = [SECRET]
    settings.WHATSAPP_VERIFY_TOKEN = "verify-me"


@pytest.fixture
def set_age() -> Any:
    """Make every row of a table look as old as is said."""

    def set_age(table: str, *, minutes: int) -> None:
        sql.execute(f"UPDATE {table} SET created_at = now() - make_interval(mins => %s)", [minutes])

    return set_age
