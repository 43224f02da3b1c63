"""The header `Retry-After`: how long a server asks us to wait."""

from __future__ import annotations

import re
from datetime import UTC
from email.utils import parsedate_to_datetime

_SECONDS = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?")


def retry_after(header: str | None, *, now: float) -> float | None:
    """Read the header: seconds (some servers send fractions), or an HTTP date.

    Args:
        header: its value, or None when there was none.
        now: Unix seconds, to which a date is compared.

    Returns:
        Seconds to wait, 0 for a date in the past; None when the header is absent or says nothing readable.

    Source: RFC 9110 section 10.2.3, https://www.rfc-editor.org/rfc/rfc9110#name-retry-after
    """
    text = (header or "").strip()
    if _SECONDS.fullmatch(text):
        return float(text)
    try:
        date = parsedate_to_datetime(text)
        date = date if date.tzinfo else date.replace(tzinfo=UTC)
        return max(0.0, date.timestamp() - now)
    except (ValueError, OverflowError):
        return None
