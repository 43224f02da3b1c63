"""What `configure` is given by compose/observability.yaml."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.compose.configured import mounted


@pytest.fixture
def given(tmp_path) -> Path:
    """What compose/observability.yaml mounts."""
    return mounted(tmp_path)
