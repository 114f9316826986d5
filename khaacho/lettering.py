"""Texts of both scripts as paper takes them, without the library that draws."""

import unicodedata

JOINERS = "\u094d\u200c\u200d"  # the virama, and the two that steer it


def one_line(text: str) -> str:
    """Return text without line breaks, controls, and what would turn its direction."""
    return "".join(
        char
        for char in " ".join(text.split())
        if char in JOINERS or unicodedata.category(char) not in {"Cc", "Cf"}
    )


def syllables(word: str) -> list[str]:
    """Return the smallest parts between which a word may be broken: marks stay with their letters."""
    parts: list[str] = []
    for char in word:
        is_mark = unicodedata.category(char).startswith("M") or char in JOINERS
        if parts and (is_mark or parts[-1][-1] in JOINERS):
            parts[-1] += char
        else:
            parts.append(char)
    return parts
