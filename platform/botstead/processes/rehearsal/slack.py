"""`chat.slack`: the double of Slack that `Slack` posts to."""

from __future__ import annotations

import msgspec

from botstead.bots.testing import KitClock
from botstead.core.messages import Call, Response
from botstead.processes.rehearsal.http import response
from botstead.processes.rehearsal.outside import ServiceDouble


class Post(msgspec.Struct, frozen=True, kw_only=True):
    """What was posted.

    Args:
        channel: where.
        text: in Slack's format.
        thread: the `ts` of the post that it answers to, or empty.
        ts: what Slack named it.
    """

    channel: str
    text: str
    thread: str
    ts: str


class SlackDouble(ServiceDouble):
    """Takes every post, and keeps it in `posted`. `Slack` itself, with its checks, is the real one."""

    def __init__(self, clock: KitClock) -> None:
        """Build it.

        Args:
            clock: the kit's time.
        """
        super().__init__(clock)
        self._error = ""
        self.posted: list[Post] = []
        """The posts, oldest first."""

    def refuses(self, error: str) -> None:
        """Let Slack refuse posts.

        Args:
            error: Slack's code, such as `channel_not_found`; empty: it takes them again.
        """
        self._error = error

    def answer(self, call: Call) -> Response:
        """Take a post, or refuse it."""
        if self._error:
            return response({"ok": False, "error": self._error})
        given = msgspec.json.decode(call.body or b"{}", type=dict[str, str])
        ts = f"{self._time.now():.0f}.{len(self.posted) + 1:06}"
        self.posted.append(Post(channel=given["channel"], text=given["text"], thread=given.get("thread_ts", ""), ts=ts))
        return response({"ok": True, "channel": given["channel"], "ts": ts})
