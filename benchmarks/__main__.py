"""All benchmarks, one after another: ``python -m benchmarks``."""

import importlib
import pkgutil

import benchmarks

for info in pkgutil.iter_modules(benchmarks.__path__):
    if not info.name.startswith("_") and not info.ispkg:
        importlib.import_module(f"benchmarks.{info.name}").main()
