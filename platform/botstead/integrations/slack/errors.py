"""What can go wrong with a post. Messages name Slack's code, never texts or tokens."""

from __future__ import annotations

from typing import ClassVar

from botstead.core.errors import EgressError, RetryAdvice


class SlackError(EgressError):
    """Slack did not take the post."""

    code = "slack"


class SlackInvalid(SlackError):
    """Slack does not take this post as it is."""

    code = "slack_invalid"
    retry: ClassVar[RetryAdvice] = "never"


class SlackChannelUnknown(SlackError):
    """There is no such channel, or the bot is not in it. Invite it there by `/invite`."""

    code = "slack_channel_unknown"
    retry: ClassVar[RetryAdvice] = "never"


class SlackKeyRefused(SlackError):
    """Slack does not know the token, or it may not post. Set another one with `botstead bots secrets set`."""

    code = "slack_key_refused"
    retry: ClassVar[RetryAdvice] = "never"


class SlackThrottled(SlackError):
    """Slack takes no more posts for a while. Try again after the seconds named."""

    code = "slack_throttled"
    retry: ClassVar[RetryAdvice] = "after"


class SlackUnavailable(SlackError):
    """Slack has trouble of its own. Try again later."""

    code = "slack_unavailable"
