from khaacho.exceptions import Conflict, Refused


class DuplicateTransaction(Refused):
    """This transaction was recorded already."""

    code = "duplicate_transaction"


class AllocationInvalid(Refused):
    """The allocations do not fit the payment or its orders."""

    code = "allocation_invalid"


class NotReversible(Conflict):
    """Only a processed payment can be reversed."""

    code = "not_reversible"


class NothingOwed(Refused):
    """Nothing is left to pay."""

    code = "nothing_owed"
