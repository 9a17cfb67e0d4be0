"""Where a user's files are."""

from __future__ import annotations

from pathlib import Path

import pytest

from metis.node.user_folders import user_cache, user_data


def test_user_folders__of_the_environment__are_used_where_absolute(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("XDG_DATA_HOME", "relative")
    assert user_cache("forks") == tmp_path / "metis" / "forks"
    assert user_data("models") == Path.home() / ".local" / "share" / "metis" / "models"
