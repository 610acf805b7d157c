"""What code of numerical libraries runs follows from settings, not from the processor."""

import os
import platform
import subprocess
import sys

import pytest

SHOW = """
from earshift.pipeline import pinning
import numba
print(pinning.NUMERICS, numba.config.CPU_NAME, numba.config.NUMBA_NUM_THREADS)
"""


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="the settings are those of x86")
@pytest.mark.parametrize(("native", "shown"), [("", "pinned x86-64-v3 1"), ("1", "native None 1")])
def test_numba_compiles_for_one_target_unless_native(native, shown):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("NUMBA_")}
    environment["EARSHIFT_NATIVE"] = native
    done = subprocess.run([sys.executable, "-c", SHOW], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == shown
