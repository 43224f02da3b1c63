"""Every board, in the order in which an operator meets them."""

from __future__ import annotations

from typing import Final

from dashboards.boards import (
    api,
    bot,
    bots,
    channels,
    datastores,
    home,
    integrations,
    machine,
    objectives,
    on_call,
    payments,
    queues_and_schedules,
    road,
)
from dashboards.design import Board

_FILES = (
    home,
    objectives,
    bots,
    bot,
    road,
    channels,
    integrations,
    payments,
    api,
    queues_and_schedules,
    datastores,
    machine,
    on_call,
)
BOARDS: Final[tuple[Board, ...]] = tuple(file.BOARD for file in _FILES)
