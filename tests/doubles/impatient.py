"""The way to services for tests with many faults: the same tries, with hardly a wait between them."""

from __future__ import annotations

import msgspec

from botstead.runtime.outside import Outside, Policy, Service

USUAL = Policy()


class Impatient(Outside):
    """Waits next to nothing between two tries, and lets no service rest."""

    def service(self, name: str, policy: Policy = USUAL) -> Service:
        """See `Outside.service`."""
        return super().service(name, msgspec.structs.replace(policy, first_wait=0.02, failures=100_000))
