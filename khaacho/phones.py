"""Telephone numbers as E.164; a number without a country is Nepal's."""

import phonenumbers

REGION = "NP"


def normalise_phone(text: str) -> str | None:
    """Return the number as E.164 (`+9779812345678`), or None when it cannot be one."""
    try:
        number = phonenumbers.parse(text, REGION)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_possible_number(number):
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
