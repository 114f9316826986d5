from khaacho.exceptions import Conflict, Refused


class CreditLimitExceeded(Refused):
    """The order is over the credit limit."""

    code = "credit_limit_exceeded"


class CreditOnHold(Refused):
    """A due is more than 30 days late: new orders on credit are held, cash is welcome."""

    code = "credit_on_hold"


class AccountFrozen(Refused):
    """This credit account is frozen until staff have looked at it."""

    code = "account_frozen"


class RetailerNotApproved(Refused):
    """This shop is not approved yet."""

    code = "retailer_not_approved"


class RetailerBlocked(Refused):
    """This shop is blocked."""

    code = "retailer_blocked"


class AlreadyReversed(Conflict):
    """This entry was reversed already."""

    code = "already_reversed"


class SecondPersonNeeded(Refused):
    """A rise above the threshold needs a second person."""

    code = "second_person_needed"


class StatementTooLong(Refused):
    """The statement has too many entries; ask for a shorter period."""

    code = "statement_too_long"
