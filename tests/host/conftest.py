"""Nothing here touches the keyring of whoever runs the tests."""

import pytest
from speakeasy import system_keyring


@pytest.fixture(autouse=True)
def no_keyring(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.null.Keyring")
    system_keyring.system.cache_clear()
