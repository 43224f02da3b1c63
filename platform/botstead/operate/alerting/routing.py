"""Alertmanager's configuration, made of `alerts/routing.yml` and the operator's receivers. Pure but for the loader."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import msgspec
import yaml

from botstead.operate.alerting.receivers import Heartbeat, Message, Read, Receiver, Secrets, Version
from botstead.operate.alerting.rules import Time, written
from botstead.operate.objectives import document
from botstead.operate.objectives.model import Duration, Matchers, Name, Text

ROUTING = "routing.yml"
APPLIANCE = "appliance"
"""The external label by which Prometheus tells one appliance from another that shares an Alertmanager; it may be missing."""
WATCHDOG = "Watchdog"
"""The alert that always fires."""
SHORTEST = Fraction(1)
"""Seconds: no wait is scaled below this, since a message for each alert is none that groups."""
UNHEARD = "No receiver gets {what}: {loss}. Name one in {path}, such as\n{example}"
_EXAMPLE = "  receivers:\n    - {{kind: telegram, chat: -1001234567890, token_file: /path/of/token, gets: [{severity}]}}"
_BEAT = "  receivers:\n    - {kind: heartbeat, url: https://example.org/ping/id}"


class Pace(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How soon and how often.

    Args:
        wait: before the first message of a group, so that what belongs together comes together.
        interval: before a message about something new in a group.
        repeat: before the same again while nothing changes.
    """

    wait: Duration
    interval: Duration
    repeat: Duration


class Range(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """From when to when on a day, `HH:MM`."""

    start_time: Text
    end_time: Text


class Quiet(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When tickets wait: on these days, or at these times of each day."""

    weekdays: tuple[Text, ...] = ()
    times: tuple[Range, ...] = ()


class Inhibition(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename={"source": "while"}):
    """What is not said while something else is.

    Args:
        source: `while`: the alert that says enough.
        hush: those that say nothing new then.
        why: in words.
        same: labels that must be equal.
    """

    source: Matchers
    hush: Matchers
    why: Text
    same: tuple[Name, ...] = ()


class Routing(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The document `routing.yml`.

    Args:
        group_by: alerts with these labels equal come in one message.
        page: the pace of pages.
        ticket: the pace of tickets.
        heartbeat: how often the outside hears that all is well with the alerting itself.
        quiet: when tickets wait.
        message: the text of a message, a template of Alertmanager.
        title: its first line.
        inhibit: what is not said while something else is.
    """

    group_by: tuple[Name, ...]
    page: Pace
    ticket: Pace
    heartbeat: Duration
    quiet: tuple[Quiet, ...]
    message: Text
    title: Text
    inhibit: tuple[Inhibition, ...]


class Configuration(msgspec.Struct, frozen=True):
    """What Alertmanager is given.

    Args:
        text: its configuration.
        private: whether a secret stands in it, so that only its owner may read it.
        unheard: sentences about what nobody hears, for the operator; empty when somebody hears everything.
    """

    text: str
    private: bool
    unheard: tuple[str, ...]


def load_routing(path: Path | None = None) -> Routing:
    """Read the routing.

    Args:
        path: where; what is shipped when it is None.

    Raises:
        ConfigurationError: the message names file and line.
    """
    return document.read(path or document.shipped(ROUTING), Routing)


def alertmanager(  # noqa: PLR0913  # what differs from appliance to appliance
    routing: Routing,
    receivers: Iterable[Receiver],
    *,
    version: Version,
    read: Read,
    time: Time | None = None,
    path: str = "receivers.yml",
) -> Configuration:
    """Return the configuration of Alertmanager.

    Args:
        routing: who hears of what.
        receivers: of the operator; none is allowed, then nobody is told.
        version: of Alertmanager, such as (0, 25); it decides how secrets are given.
        read: reads a secret's file.
        time: scale, as that of the rules; 1 when it is None.
        path: the operator's file, for the sentences about what nobody hears.

    Raises:
        ConfigurationError: a secret's file cannot be read.
    """
    made, scaled = tuple(receivers), time or Time()
    secrets = Secrets(version, read)
    configuration = {
        "global": {"resolve_timeout": "5m"},
        "route": _route(routing, scaled),
        **_intervals(routing, real=scaled.scale == 1),
        "inhibit_rules": [_inhibition(item) for item in routing.inhibit],
        "receivers": [_receiver(name, made, Message(routing.title, routing.message), secrets) for name in _AUDIENCES],
    }
    unheard = tuple(_unheard(made, path))
    head = ["Written at start from alerts/routing.yml and the operator's receivers. Do not change it here."]
    head += [line for sentence in unheard for line in sentence.splitlines()]
    text = "".join(f"# {line}\n" for line in head) + yaml.safe_dump(configuration, sort_keys=False, allow_unicode=True, width=120)
    return Configuration(text, secrets.inline, unheard)


_AUDIENCES: tuple[Literal["page", "ticket", "heartbeat"], ...] = ("page", "ticket", "heartbeat")


def _route(routing: Routing, time: Time) -> dict[str, Any]:
    beat = _written(routing.heartbeat, time)
    # In a test that runs sixty times faster, a night would last 14 hours all the same.
    quiet = {"mute_time_intervals": ["quiet"]} if time.scale == 1 else {}
    return {
        "receiver": "ticket",
        "group_by": [APPLIANCE, *routing.group_by],
        **_pace(routing.ticket, time),
        "routes": [
            {
                "receiver": "heartbeat",
                "matchers": [f'alertname="{WATCHDOG}"'],
                "group_wait": "0s",
                "group_interval": beat,
                "repeat_interval": beat,
            },
            {"receiver": "page", "matchers": ['severity="page"'], **_pace(routing.page, time)},
            {"receiver": "ticket", "matchers": ['severity="ticket"'], **quiet},
        ],
    }


def _intervals(routing: Routing, *, real: bool) -> dict[str, Any]:
    return {"time_intervals": [{"name": "quiet", "time_intervals": [_quiet(item) for item in routing.quiet]}]} if real else {}


def _pace(pace: Pace, time: Time) -> dict[str, str]:
    return {
        "group_wait": _written(pace.wait, time),
        "group_interval": _written(pace.interval, time),
        "repeat_interval": _written(pace.repeat, time),
    }


def _written(duration: str, time: Time) -> str:
    return written(max(SHORTEST, Fraction(round(time.length(duration)))))


def _quiet(quiet: Quiet) -> dict[str, Any]:
    found: dict[str, Any] = {"location": "Local"}
    if quiet.weekdays:
        found["weekdays"] = list(quiet.weekdays)
    if quiet.times:
        found["times"] = [msgspec.to_builtins(item) for item in quiet.times]
    return found


def _inhibition(item: Inhibition) -> dict[str, Any]:
    return {
        "source_matchers": _matchers(item.source),
        "target_matchers": _matchers(item.hush),
        "equal": [APPLIANCE, *item.same],
    }


def _matchers(wanted: Matchers) -> list[str]:
    return [
        f'{label}="{values[0]}"' if len(values) == 1 else f'{label}=~"{"|".join(values)}"' for label, values in wanted.items()
    ]


def _receiver(name: str, receivers: tuple[Receiver, ...], message: Message, secrets: Secrets) -> dict[str, Any]:
    found: dict[str, Any] = {"name": name}
    for receiver in receivers:
        if name in _hears(receiver):
            resolved = {"send_resolved": name != "heartbeat"}
            found.setdefault(receiver.key, []).append(resolved | receiver.entry(message, secrets))
    return found


def _hears(receiver: Receiver) -> tuple[str, ...]:
    return ("heartbeat",) if isinstance(receiver, Heartbeat) else receiver.gets


def _unheard(receivers: tuple[Receiver, ...], path: str) -> Iterable[str]:
    heard = {name for receiver in receivers for name in _hears(receiver)}
    losses: Mapping[str, tuple[str, str, str]] = {
        "page": ("pages", "nobody is woken when a promise breaks", _EXAMPLE.format(severity="page")),
        "ticket": ("tickets", "what can wait for the morning is only seen on the boards", _EXAMPLE.format(severity="ticket")),
        "heartbeat": ("the heartbeat", "nobody notices when this machine is gone", _BEAT),
    }
    for name, (what, loss, example) in losses.items():
        if name not in heard:
            yield UNHEARD.format(what=what, loss=loss, path=path, example=example)
