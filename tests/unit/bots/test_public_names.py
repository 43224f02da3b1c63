"""`from botstead import …`: every name is there, and costs nothing before it is used."""

from __future__ import annotations

import subprocess
import sys

import pytest

import botstead


def test_every_public_name_is_there():
    for name in botstead.__all__:
        assert getattr(botstead, name).__name__ == name
    assert set(botstead.__all__) <= set(dir(botstead))
    with pytest.raises(AttributeError, match="no attribute 'Bott'"):
        _ = botstead.Bott


def test_the_core_alone_stays_cheap():
    program = (
        "import sys, botstead.core.settings; print([m for m in sys.modules if m.startswith('botstead.') and '.core' not in m])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=30)
    assert done.stdout.strip() == "[]"
