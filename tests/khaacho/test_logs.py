import pytest

from khaacho.logs import scrub


@pytest.mark.parametrize(
    ("text", "scrubbed"),
    [
        ("call +9779812345678 now", "call … now"),
        ("call 98-123 45678", "call …"),
        ("Key (phone)=(+9779812345678)", "Key (phone)=(…)"),
        ("token 3f9a8b7c6d5e4f30aa11bb22cc33dd44", "token …"),
        ("order 123456 of line 42: 1,250.00 NPR", "order 123456 of line 42: 1,250.00 NPR"),
        (
            "in test_refuses_when_the_credit_limit_is_exceeded",
            "in test_refuses_when_the_credit_limit_is_exceeded",
        ),
    ],
)
def test_scrub_blanks_phones_and_tokens_and_leaves_the_rest(text, scrubbed):
    assert scrub(text) == scrubbed
