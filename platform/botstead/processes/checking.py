"""What a check of an installation says."""

from __future__ import annotations

import msgspec

OK, MISSING, WARNING, WRONG = "ok", "missing", "warning", "wrong"


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One check.

    Args:
        check: its name.
        status: ok; missing, which means not there (yet) and is no fault; warning, which will be a fault if nobody acts; or wrong.
        detail: what is so. Where it is not ok, the last sentence is the repair.
    """

    check: str
    status: str
    detail: str
