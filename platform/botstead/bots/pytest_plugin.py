"""Runs `async def test_…` functions, so that a bot's tests need no further package. `botstead test` turns it on."""

from __future__ import annotations

import asyncio
import inspect
from typing import Any


def pytest_pyfunc_call(pyfuncitem: Any) -> bool | None:
    """Run a test that is a coroutine function in a loop of its own; leave all others to pytest.

    Args:
        pyfuncitem: the test (https://docs.pytest.org/en/stable/reference/reference.html#pytest.hookspec.pytest_pyfunc_call).
    """
    test = pyfuncitem.obj
    if not inspect.iscoroutinefunction(test):
        return None
    arguments = {name: pyfuncitem.funcargs[name] for name in inspect.signature(test).parameters}
    asyncio.run(test(**arguments))
    return True
