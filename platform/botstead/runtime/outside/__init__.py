"""Calls to outside services, with what keeps a bad one from hurting anybody else: see outside.py and service.py."""

from __future__ import annotations

from botstead.runtime.outside.cached import Keeping, Kept
from botstead.runtime.outside.caller import calling
from botstead.runtime.outside.outside import Outside
from botstead.runtime.outside.policy import Policy
from botstead.runtime.outside.service import Service

__all__ = ["Keeping", "Kept", "Outside", "Policy", "Service", "calling"]
