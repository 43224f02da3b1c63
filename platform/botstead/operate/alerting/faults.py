"""Faults: for each alert something that must make it fire, done to a running appliance or by hand. Pure but for the loader."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any

import msgspec

from botstead.operate.alerting.conditions import AlertName
from botstead.operate.objectives import document
from botstead.operate.objectives.model import Text

FAULTS = "faults.yml"


class Fault(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One fault and the alert that it must cause.

    Args:
        name: what goes wrong.
        alert: the one that must reach a receiver.
        how: key of the function that does it; "" when it is done by hand only.
        arguments: its arguments (`with`).
        labels: that the alert must have.
        within_seconds: from the fault to the receiver, in an appliance with fast rules; 0 when it is done by hand.
        resolves_within_seconds: from the fault's end to the receiver.
        also: pages that are right besides.
        by_hand: how a person does it, and why it is not done to a fast appliance.
    """

    name: Text
    alert: AlertName
    how: str = ""
    arguments: Mapping[str, Any] = msgspec.field(name="with", default_factory=dict)
    labels: Mapping[str, str] = {}
    within_seconds: Annotated[int, msgspec.Meta(ge=0)] = 0
    resolves_within_seconds: Annotated[int, msgspec.Meta(ge=0)] = 0
    also: tuple[AlertName, ...] = ()
    by_hand: str = ""

    def __post_init__(self) -> None:
        """Refuse a fault that nobody knows how to do."""
        if not self.how and not self.by_hand:
            raise ValueError(f"«{self.name}» says neither how nor by_hand")
        if self.how and not (self.within_seconds and self.resolves_within_seconds):
            raise ValueError(f"«{self.name}» needs within_seconds and resolves_within_seconds")


class Faults(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The document `faults.yml`.

    Args:
        scale: of the rules in the appliance that faults are done to, such as 1/60.
        faults: all of them.
    """

    scale: Annotated[str, msgspec.Meta(pattern=r"\A1/[1-9][0-9]*\Z")]
    faults: tuple[Fault, ...]

    @property
    def time(self) -> Fraction:
        """The scale as a number."""
        return Fraction(self.scale)


def load_faults(path: Path | None = None) -> Faults:
    """Read the faults.

    Args:
        path: where; those that are shipped when it is None.

    Raises:
        ConfigurationError: the message names file and line.
    """
    return document.read(path or document.shipped(FAULTS), Faults)
