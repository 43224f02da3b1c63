"""Calls to outside services, with what keeps a bad one from hurting anybody else: see service.py."""

from __future__ import annotations

from botstead.runtime.outside.policy import Policy
from botstead.runtime.outside.service import Outside, Service

__all__ = ["Outside", "Policy", "Service"]
