"""Text for spreadsheets: what one would take for a formula is marked as text.

A cell is a formula when it begins with = + - @, also in full width, or with a tab or line break before
(OWASP, CSV injection). Spaces before it are passed over by some programs.
"""

import re

BEGINS = r"^( *[=+@\t\r\n＝＋－＠-])"
_FORMULA = re.compile(BEGINS)


def neutral(text: str) -> str:
    """Return text that no spreadsheet takes for a formula."""
    return f"'{text}" if _FORMULA.match(text) else text


def neutral_sql(expression: str) -> str:
    """Return SQL that does to a text expression what `neutral` does."""
    return rf"regexp_replace({expression}, '{BEGINS}', '''\1')"
