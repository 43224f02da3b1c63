"""The web chat as a channel. Nothing goes out: the page reads the history table, and «sent» means «readable there»."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

from botstead.channels.webchat import health
from botstead.core.errors import Invalid, Rejected, Unreadable
from botstead.core.messages import Delivery, Health, Outcome, Receipt
from botstead.core.ports import Account, Egress, Prepared, Sending

TITLE_LIMIT = 64
ABOUT_LIMIT = 300
SUGGESTIONS_LIMIT = 6
SUGGESTION_LIMIT = 64


class WebChat:
    """`core.ports.ChannelKind` for our own page."""

    kind = "webchat"

    def verify(self, _delivery: Delivery, _account: Account, _now: float) -> NoReturn:
        """Refuse: visitors post to `/chat/{bot}/messages`, where their limits are; no hook delivers for them.

        Raises:
            Rejected: always.
        """
        raise Rejected(reason="unknown")

    def parse(self, _delivery: Delivery, _account: Account) -> NoReturn:
        """Refuse, for the same reason; see `parse.parse_posted` for what the page posts.

        Raises:
            Unreadable: always.
        """
        raise Unreadable

    async def deliver(self, sending: Sending, _account: Account, _egress: Egress) -> Receipt:
        """Confirm: the row that every stream reads was committed before this was called."""
        return Receipt(outcome=Outcome.SENT, external_id=str(sending.id))

    async def health(self, account: Account, _egress: Egress) -> Health:
        """Say how the installation is; nobody is asked."""
        return health.check(account)

    async def install(self, account: Account, _egress: Egress, _hook_url: str) -> Health:
        """Nothing to install: the page is part of the platform."""
        return health.check(account)

    def prepare(self, settings: Mapping[str, Any], secrets: Mapping[str, str]) -> Prepared:
        """Check the page's settings: `title`, `about`, and `suggestions`, all optional.

        Args:
            settings: what the operator gave.
            secrets: must be empty.

        Raises:
            Invalid: an unknown or wrong setting; the message names it.
        """
        if secrets:
            raise Invalid(f"The web chat has no secrets; leave out {', '.join(sorted(secrets))}.")
        for name, value in settings.items():
            _check(name, value)
        return Prepared(settings=dict(settings), secrets={})


def _check(name: str, value: Any) -> None:
    if name == "suggestions":
        if not isinstance(value, list | tuple) or len(value) > SUGGESTIONS_LIMIT:
            raise Invalid(f"«suggestions» is a list of at most {SUGGESTIONS_LIMIT} texts.")
        for item in value:
            _check_text("suggestions", item, SUGGESTION_LIMIT)
    elif name in {"title", "about"}:
        _check_text(name, value, TITLE_LIMIT if name == "title" else ABOUT_LIMIT)
    else:
        raise Invalid(f"The web chat has no setting «{name}»; it knows title, about and suggestions.")


def _check_text(name: str, value: Any, limit: int) -> None:
    if not isinstance(value, str) or not value.strip() or len(value) > limit:
        raise Invalid(f"«{name}» takes texts of 1 to {limit} characters.")


KIND = WebChat()
