"""The one guarded way out: every HTTP request that leaves the appliance goes through `EgressClient`."""

from __future__ import annotations

from botstead.runtime.egress.client import EgressClient
from botstead.runtime.egress.dial import Dialer
from botstead.runtime.egress.recorded import RecordedEgress
from botstead.runtime.egress.resolver import Resolver

__all__ = ["Dialer", "EgressClient", "RecordedEgress", "Resolver"]
