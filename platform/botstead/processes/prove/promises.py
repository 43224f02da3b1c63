"""What we promise. Each experiment checks some of them, and each figure in a report names the one that it is about."""

from __future__ import annotations

import msgspec


class Promise(msgspec.Struct, frozen=True):
    """One promise.

    Args:
        key: short name, as in reports.
        text: what it says, to whoever runs bots.
    """

    key: str
    text: str


PROMISES = {
    promise.key: promise
    for promise in (
        Promise("P1", "What was acknowledged is kept, whatever is killed, emptied or filled."),
        Promise("P2", "Each update takes effect once, however often it is delivered."),
        Promise("P3", "Each conversation is handled in the order in which we acknowledged."),
        Promise("P4", "Replies are sent at least once and in order; twice only what was under way when something died."),
        Promise("P5", "A message that fails or kills its worker ends in the dead letters, alone, and can be replayed."),
        Promise("P6", "Beyond the limits we answer 503 with Retry-After; memory stays bounded."),
        Promise("P7", "The work of a dead process is taken over within two leases."),
        Promise("P8", "A process that was paused or cut off cannot write when it comes back."),
        Promise("P9", "Postgres may go away: everything resumes alone within 10 seconds of its return."),
        Promise("P10", "Valkey may vanish or be emptied: slower, never wrong."),
        Promise("P11", "A bad provider hurts only its own traffic."),
        Promise("P12", "A rolling restart loses no request."),
        Promise("P13", "What is due happens once, whichever scheduler does it."),
        Promise("P14", "Clocks may be wrong by an hour."),
        Promise("P16", "Secrets never leave: not in logs, traces, metrics, errors, answers, or a copy of the database."),
        Promise("P17", "Forged, replayed, malformed, oversized and slow input is refused as the client's fault."),
        Promise("P18", "No call goes to an internal address that was not listed."),
        Promise("P21", "Nobody is charged twice, and nothing that was paid or is to go back is lost, whatever dies."),
    )
}
"""By key. The numbers are stable; those that are missing are proved elsewhere."""
