"""earshift: how far does an embedding move when the ear hardly notices?

Rooms, in the order in which data flows: corpus, perturb, encode, analyse, report.
A room never imports from one that stands after it.

The same numbers everywhere: before any numerical library starts, this package asks for one thread per process (sums
then do not depend on the number of cores, and worker processes do not fight over them) and, on x86, for the AVX2 code
paths that every such machine has (wider vector units add in another order). EARSHIFT_NATIVE=1 lifts the second rule.
"""

import importlib.util
import os
import sys

if importlib.util.find_spec("h5py") is None:
    sys.exit(
        f"earshift: {sys.executable} lacks the packages that requirements.lock pins; "
        "run `make setup` once and `source .venv/bin/activate` in every shell"
    )

_settings = {f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL", "NUMBA")}
if os.environ.get("EARSHIFT_NATIVE") != "1":
    _settings.update(
        ATEN_CPU_CAPABILITY="avx2",
        ONEDNN_MAX_CPU_ISA="AVX2",
        MKL_CBWR="AVX2",
        OPENBLAS_CORETYPE="Haswell",
        NPY_DISABLE_CPU_FEATURES="X86_V4 AVX512_ICL AVX512_SPR",
    )
# Not so in a process that somebody else started and that has numpy already, such as a worker of a cluster
SETTINGS_HOLD = "numpy" not in sys.modules or _settings.items() <= os.environ.items()
os.environ.update(_settings)
