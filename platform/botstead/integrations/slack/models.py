"""What is posted, what Slack answers, and what its errors mean.

Sources: https://docs.slack.dev/reference/methods/chat.postMessage for the method, its limits and errors;
https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks for webhooks and theirs.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec

from botstead.core import bodies
from botstead.core.messages import Response
from botstead.integrations.slack.errors import (
    SlackChannelUnknown,
    SlackError,
    SlackInvalid,
    SlackKeyRefused,
    SlackThrottled,
    SlackUnavailable,
)

LONGEST_TEXT: Final = 40_000
"""Characters; Slack cuts what is longer, so we refuse it."""
_LONGEST_CHANNEL: Final = 100

_WEBHOOK = re.compile(r"(https?://[A-Za-z0-9.:\[\]-]+)((?:/[A-Za-z0-9._~-]+)+)")
_CODE = re.compile(r"[a-z_]{1,60}")
_KINDS: Final[tuple[tuple[type[SlackError], frozenset[str]], ...]] = (
    (SlackThrottled, frozenset({"ratelimited", "rate_limited"})),
    (
        SlackChannelUnknown,
        frozenset(
            {"channel_not_found", "not_in_channel", "is_archived", "channel_is_archived", "no_service", "thread_not_found"}
        ),
    ),
    (
        SlackKeyRefused,
        frozenset(
            {"invalid_auth", "not_authed", "token_revoked", "token_expired", "account_inactive", "invalid_token", "missing_scope"}
            | {"no_permission", "not_allowed_token_type", "access_denied", "no_team", "team_disabled", "action_prohibited"}
            | {"ekm_access_denied", "org_login_required", "two_factor_setup_required"}
        ),
    ),
    (
        SlackUnavailable,
        frozenset(
            {"internal_error", "fatal_error", "service_unavailable", "request_timeout", "rollup_error", "team_added_to_org"}
        ),
    ),
)


class Answer(msgspec.Struct, frozen=True):
    """What the Web API answers; `ok` decides, not the status."""

    ok: bool
    error: str = ""
    channel: str = ""
    ts: str = ""


class Posted(msgspec.Struct, frozen=True, kw_only=True):
    """A post that Slack has taken.

    Args:
        channel: Slack's id of the channel; empty after an incoming webhook.
        ts: names the post in its channel: give it as `thread` to answer to it. Empty after an incoming webhook.
    """

    channel: str = ""
    ts: str = ""


class Webhook(msgspec.Struct, frozen=True):
    """An incoming webhook's URL in two parts: the origin may be seen, and the segments of its path are the secret."""

    origin: str
    segments: tuple[str, ...]


def webhook(secret: str) -> Webhook | None:
    """Read the URL of an incoming webhook, or None when it is none.

    Args:
        secret: the bot's secret.
    """
    found = _WEBHOOK.fullmatch(secret)
    return None if found is None else Webhook(found[1], tuple(found[2][1:].split("/")))


def escaped(text: str) -> str:
    """Write text such that Slack shows it as it is: no link, no mention, no `<!channel>` that wakes everybody.

    Args:
        text: such as what somebody wrote to the bot.
    """
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def body(channel: str, text: str, thread: str) -> bytes:
    """Write the body of a post.

    Args:
        channel: an id or a name with #; empty for an incoming webhook.
        text: as Slack formats it.
        thread: the `ts` of the post that it answers to, or empty.

    Raises:
        SlackInvalid: the text is empty or too long, or the channel is none.
    """
    if not text.strip() or len(text) > LONGEST_TEXT:
        raise SlackInvalid(f"A post has 1 to {LONGEST_TEXT} characters, not {len(text)}.")
    if len(channel) > _LONGEST_CHANNEL or not channel.isprintable():
        raise SlackInvalid("A channel is an id such as C0123456789, or a name such as #orders.")
    given = {"channel": channel, "text": text, "thread_ts": thread}
    try:
        return msgspec.json.encode({name: value for name, value in given.items() if value})
    except UnicodeEncodeError:
        raise SlackInvalid("The text holds half of a surrogate pair.") from None


def read(response: Response, *, after: float | None) -> Posted:
    """Say what an answer means; one with status 200 may be an error too.

    Args:
        response: of the Web API or of a webhook.
        after: seconds that its `Retry-After` asks to wait.

    Raises:
        SlackError: it was not taken; see its subclasses.
    """
    if response.status == 200 and response.body.strip() == b"ok":
        return Posted()
    answer = bodies.read(response.body, Answer)
    if answer is not None and answer.ok and response.status == 200:
        return Posted(channel=answer.channel, ts=answer.ts)
    raise _refusal(response, answer.error if answer is not None else _word(response), after)


def _word(response: Response) -> str:
    """Webhooks answer errors with one word of text."""
    return response.body[:61].decode("ascii", "replace").strip()


def _refusal(response: Response, code: str, after: float | None) -> SlackError:
    code = code if _CODE.fullmatch(code) else ""
    named = f"{response.status} {code}".strip()
    kind = next((kind for kind, codes in _KINDS if code in codes), None)
    if response.status == 429 or kind is SlackThrottled:
        return SlackThrottled(f"Slack takes no more posts for a while ({named}).", after=after)
    if kind is None and (response.status >= 500 or (response.status < 300 and not code)):
        kind = SlackUnavailable
    if kind is None and response.status in (401, 403):
        kind = SlackKeyRefused
    if kind is None and response.status in (404, 410):
        kind = SlackChannelUnknown
    kind = kind or SlackInvalid
    return kind(f"Slack answered {named}. {kind.__doc__}", after=after)
