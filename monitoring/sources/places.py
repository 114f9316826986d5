"""Where in our code a statement is issued: the first frame of ours that is not mere plumbing.

Below it lie Django, psycopg and what carries any statement (khaacho/sql.py, the JSON lists, the admin's
base); around it the middleware, the job runner and DRF. Where the statement is sent by such common code
alone, the place is of whose behalf it is done: the view's or admin's own class.
"""

import sys
from dataclasses import dataclass
from types import CodeType, FrameType
from typing import Any

from django.conf import settings
from django.db.models import Manager, Model, QuerySet

DEEPEST = 200  # frames that are looked at
FILES = 20_000  # that are remembered

ROOT = f"{settings.BASE_DIR}/"
FOREIGN = ("site-packages/", "dist-packages/", ".venv/")
# Whoever calls these is the issuer.
CARRIERS = (
    "khaacho/sql.py",
    "khaacho/db/",
    "khaacho/transactions.py",
    "khaacho/replica.py",
    "khaacho/reading.py",
    "khaacho/positions.py",
    "khaacho/api/json_rows.py",
    "khaacho/api/json_list.py",
    "khaacho/api/pagination.py",
    "khaacho/api/keyset.py",
    "khaacho/adminsite/",
    "monitoring/sources/wrapper.py",
    "monitoring/sources/recorder.py",
    "monitoring/sources/places.py",
)
# These call our code; they are the issuers only of what they send without it.
WRAPPERS = (
    "khaacho/api/",
    "khaacho/middleware.py",
    "khaacho/origins.py",
    "khaacho/jobs/",
    "khaacho/tasks.py",
    "khaacho/direct.py",
    "khaacho/wsgi.py",
    "manage.py",
    "tests/",
    "bench/",
)
QUESTIONS = ("rows", "get_queryset")  # methods of a view that say what it lists


@dataclass(frozen=True)
class Place:
    """A line of our code: `file` from the repository's root, `function` with its class."""

    file: str
    line: int
    function: str


@dataclass(frozen=True)
class _File:
    """What a source file is to us; `path` is empty for one that is not ours."""

    path: str = ""
    carries: bool = False
    wraps: bool = False

    @property
    def is_issuer(self) -> bool:
        return bool(self.path) and not self.carries and not self.wraps


_files: dict[str, _File] = {}


def _file(name: str) -> _File:
    known = _files.get(name)
    if known is None:
        if len(_files) >= FILES:
            _files.clear()
        known = _files[name] = _read(name)
    return known


def _read(name: str) -> _File:
    if not name.startswith(ROOT):
        return _File()
    path = name.removeprefix(ROOT)
    if any(part in path for part in FOREIGN):
        return _File()
    carries = path.startswith(CARRIERS)
    return _File(path, carries, wraps=not carries and path.startswith(WRAPPERS))


def issuing(frame: FrameType | None) -> Place | None:
    """Return the place for a statement sent from this frame; None when no code of ours is around it."""
    bearer: type | None = None
    for _ in range(DEEPEST):
        if frame is None:
            break
        code = frame.f_code
        file = _file(code.co_filename)
        if file.path and not file.carries:
            if file.wraps and bearer:
                break
            return Place(file.path, frame.f_lineno, code.co_qualname)
        if bearer is None and code.co_argcount and code.co_varnames[0] == "self":
            bearer = _bearer(frame.f_locals.get("self"))
        frame = frame.f_back
    return _of_class(bearer) if bearer else None


def _bearer(one: object) -> type | None:
    """Return the class of ours of an object on whose behalf common code works; of rows, none.

    Asked of the type alone: `isinstance` looks into a lazy object, and `request.user` would be read again.
    """
    cls = type(one)
    if issubclass(cls, Model | QuerySet | Manager):
        return None
    return cls if _file(_file_name(cls)).is_issuer else None


def _file_name(cls: type) -> str:
    return getattr(sys.modules.get(cls.__module__), "__file__", None) or ""


def _of_class(cls: type) -> Place:
    """Return where a class says what it lists; failing that, its first method."""
    for name in QUESTIONS:
        for base in cls.__mro__:
            code = _code(vars(base).get(name))
            if code and _file(code.co_filename).is_issuer:
                return _at(code)
    own = [code for each in vars(cls).values() if (code := _code(each))]
    own = [code for code in own if code.co_filename == _file_name(cls)]
    if own:
        first = min(own, key=lambda code: code.co_firstlineno)
        return Place(_file(first.co_filename).path, first.co_firstlineno, cls.__qualname__)
    return Place(_file(_file_name(cls)).path, 1, cls.__qualname__)


def _code(function: Any) -> CodeType | None:
    found = getattr(function, "__code__", None)
    return found if isinstance(found, CodeType) else None


def _at(code: CodeType) -> Place:
    return Place(_file(code.co_filename).path, code.co_firstlineno, code.co_qualname)
