"""Versions of the packages that code imports: found in its source text, as the code itself is."""

import functools
import importlib.metadata
import sys

from earshift.pipeline.code import imported_packages

# Packages that cannot change a number, each with the reason
NUMBERLESS = {
    "annotated_types": "It declares bounds of options.",
    "click": "It reads command lines.",
    "dask": "It calls functions elsewhere.",
    "distributed": "It calls functions elsewhere.",
    "filelock": "It lets one process write at a time.",
    "psutil": "It says which processes run.",
    "pydantic": "It checks options and results, and keys hold the options as they were checked.",
    "pydantic_core": "It checks options and results, and keys hold the options as they were checked.",
    "requests": "It fetches files, and keys hold the hashes of their content.",
    "rich": "It prints tables.",
    "tqdm": "It draws progress bars.",
    "typing_extensions": "It declares types.",
}
# Distributions that go by another name than the module
_DISTRIBUTIONS = {"PIL": "pillow", "sklearn": "scikit-learn", "umap": "umap-learn", "yaml": "PyYAML"}


_BENEATH = {"numba": ("llvmlite",), "umap": ("numba", "llvmlite", "pynndescent", "sklearn")}  # what these compute with


def package_versions(*roots: str) -> dict[str, str]:
    """Installed versions of the packages that these modules, and all of earshift that they reach, import.

    Packages that are not installed, because nothing that was asked for needs them, and :data:`NUMBERLESS` ones are left
    out, and so are build tags such as +cpu, which do not name another release.
    """
    names = imported_packages(*roots) - sys.stdlib_module_names - NUMBERLESS.keys()
    names |= {each for name in names for each in _BENEATH.get(name, ())}
    found = {name: version for name in names if (version := _version(_DISTRIBUTIONS.get(name, name)))}
    return dict(sorted(found.items()))


@functools.cache
def _version(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution).partition("+")[0]
    except importlib.metadata.PackageNotFoundError:
        return None
