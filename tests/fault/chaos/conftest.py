"""The fixtures of the end-to-end tests, which run the real program, and a seed."""

import importlib.util
import os
import random
import sys
from pathlib import Path

import pytest

E2E = Path(__file__).resolve().parents[2] / "e2e"
sys.path.insert(0, str(E2E))


def _load_fixtures():
    """Of e2e/conftest.py: imported under its own name, it would be taken for this file."""
    specification = importlib.util.spec_from_file_location("e2e_conftest", E2E / "conftest.py")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


# Not its hook: the logs of thirty processes would bury the report, which names what matters.
_e2e = _load_fixtures()
binary, bunshin = _e2e.binary, _e2e.bunshin


@pytest.fixture
def seed():
    """BUNSHIN_CHAOS_SEED, or a new one; shown when the test fails."""
    value = int(os.environ.get("BUNSHIN_CHAOS_SEED", random.getrandbits(32)))
    print(f"BUNSHIN_CHAOS_SEED={value}")
    return value
