"""Finds the classes that a room offers: a new corpus, perturbation or encoder is one new file and nothing else."""

import importlib
import inspect
import pkgutil

from earshift.errors import UserError


def base(room):
    """The class that a room's plugins extend: ``BASE`` of its ``base`` module."""
    return importlib.import_module(f"earshift.{room}.base").BASE


def plugins(room):
    """All named subclasses of a room's base class, by name.

    Parameters
    ----------
    room : str, one of "corpora", "perturbations", "encoders"

    Returns
    -------
    dict of str to class, sorted by name
    """
    package = importlib.import_module(f"earshift.{room}")
    extended = base(room)
    found = {}
    for info in pkgutil.iter_modules(package.__path__):
        module = importlib.import_module(f"earshift.{room}.{info.name}")
        for _, cls in inspect.getmembers(module, inspect.isclass):
            if issubclass(cls, extended) and cls.__module__ == module.__name__ and getattr(cls, "name", None):
                found[cls.name] = cls
    return dict(sorted(found.items()))


def imported(path, extended, key):
    """The class that a dotted ``package.module:Class`` names.

    Raises
    ------
    UserError
        If the path is malformed, cannot be imported, or the class does not extend `extended`.
    """
    module_name, _, class_name = path.partition(":") if isinstance(path, str) else ("", "", "")
    if not all(module_name.split(".")) or not class_name:
        raise UserError(f"{key} is {path!r}; write it as package.module:Class")
    try:
        cls = getattr(importlib.import_module(module_name), class_name)
    except (ImportError, AttributeError) as error:
        raise UserError(f"{key}: cannot import {path!r} ({error}); is it on PYTHONPATH or installed here?") from error
    if not (inspect.isclass(cls) and issubclass(cls, extended)):
        raise UserError(f"{key}: {path!r} must be a class that extends {extended.__module__}.{extended.__qualname__}")
    return cls
