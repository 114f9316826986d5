"""Who sits at the desk: an administrator, people of each group, and a client for each."""

from collections.abc import Callable

import pytest
from django.contrib.auth.models import Group
from django.test import Client

from khaacho import permissions
from khaacho.enums import Role
from khaacho.models import User
from tests.factories import make_user

PASSWORD = "correct horse"


@pytest.fixture
def groups(db) -> None:
    permissions.sync_groups()


@pytest.fixture
def admin_user(groups) -> User:
    return make_user(Role.ADMIN, is_superuser=True)


@pytest.fixture
def admin(admin_user: User) -> Client:
    return signed_in(admin_user)


@pytest.fixture
def member(groups) -> Callable[[str], User]:
    """Return an operator of one group."""

    def make(group: str) -> User:
        user = make_user(Role.OPERATOR)
        user.groups.add(Group.objects.get(name=group))
        return user

    return make


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client
