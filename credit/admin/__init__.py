"""What staff see and do about credit."""

from credit.admin import accounts, limits, retailers

__all__ = ["accounts", "limits", "retailers"]
