"""Finds the classes that a package offers: a new corpus, perturbation or encoder is one new file and nothing else."""

import importlib
import inspect
import pkgutil
from types import ModuleType
from typing import TypeVar

from earshift.errors import UserError

T = TypeVar("T")


def find_plugins(package: ModuleType, base: type[T]) -> dict[str, type[T]]:
    """All named subclasses of a base class in the modules of a package, by name.

    Parameters
    ----------
    package : module, such as :mod:`earshift.encoders`
    base : type, such as :class:`earshift.encoders.base.Encoder`; a subclass has a text ``name``

    Returns
    -------
    dict of str to type, sorted by name
    """
    found = {}
    for info in pkgutil.iter_modules(package.__path__):
        module = importlib.import_module(f"{package.__name__}.{info.name}")
        for _, cls in inspect.getmembers(module, inspect.isclass):
            name = getattr(cls, "name", None)
            if issubclass(cls, base) and cls.__module__ == module.__name__ and name:
                found[name] = cls
    return dict(sorted(found.items()))


def import_class(path: object, base: type[T], key: str) -> type[T]:
    """The class that a dotted ``package.module:Class`` names.

    Parameters
    ----------
    path : str, as it stands in params.yaml
    base : type, which the class must extend
    key : str, where it stands in params.yaml, for messages

    Raises
    ------
    UserError
        If the path is malformed, cannot be imported, or the class does not extend `base`.
    """
    module_name, _, class_name = path.partition(":") if isinstance(path, str) else ("", "", "")
    if not all(module_name.split(".")) or not class_name:
        raise UserError(f"{key} is {path!r}; write it as package.module:Class")
    try:
        cls = getattr(importlib.import_module(module_name), class_name)
    except (ImportError, AttributeError) as error:
        raise UserError(f"{key}: cannot import {path!r} ({error}); is it on PYTHONPATH or installed here?") from error
    if not (isinstance(cls, type) and issubclass(cls, base)):
        raise UserError(f"{key}: {path!r} must be a class that extends {base.__module__}.{base.__qualname__}")
    return cls
