"""The same numbers everywhere: settings of numerical libraries, made before any of them starts.

One thread per process: sums then do not depend on the number of cores, and worker processes do not compete for them.
On x86, the AVX2 code paths that every machine of the last ten years has, since wider vector units add in another order;
Numba compiles for that target (x86-64-v3) as well, not for the processor that it finds. EARSHIFT_NATIVE=1 lifts the
second rule. Stages, workers and the command line import this module first; a notebook that imports earshift does not.
"""

import importlib.util
import os
import platform
import sys

if importlib.util.find_spec("h5py") is None:
    sys.exit(
        f"earshift: {sys.executable} lacks the packages that requirements.lock pins; "
        "run `make setup` once and `source .venv/bin/activate` in every shell"
    )

NUMERICS = "native" if os.environ.get("EARSHIFT_NATIVE") == "1" else "pinned"
_settings = {f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL", "NUMBA")}
if NUMERICS == "pinned":
    _settings.update(
        ATEN_CPU_CAPABILITY="avx2",
        ONEDNN_MAX_CPU_ISA="AVX2",
        MKL_CBWR="AVX2",
        OPENBLAS_CORETYPE="Haswell",
        NPY_DISABLE_CPU_FEATURES="X86_V4 AVX512_ICL AVX512_SPR",
    )
    if platform.machine().lower() in ("x86_64", "amd64"):
        _settings.update(NUMBA_CPU_NAME="x86-64-v3", NUMBA_CPU_FEATURES="+avx2,+fma,+bmi,+bmi2,+lzcnt,+f16c,+movbe")
if "NUMBA_CACHE_DIR" not in os.environ:
    # compiled code is kept for the user, not for this folder; the other classes are Numba's own, for where it cannot be
    _settings["NUMBA_CACHE_LOCATOR_CLASSES"] = (
        "earshift.pipeline.kernel_cache.UserCache,InTreeCacheLocator,UserWideCacheLocator,IPythonCacheLocator"
    )
# Not so in a process that somebody else started and that has numpy already, such as a worker of a cluster
SETTINGS_HOLD = "numpy" not in sys.modules or _settings.items() <= os.environ.items()
os.environ.update(_settings)
