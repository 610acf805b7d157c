"""Reads the tensors of PyTorch checkpoints (.pth) without running what they may hold besides.

Conventions
-----------
A checkpoint is a pickle with tensors beside it, in a zip (PyTorch 1.6 and later) or one after the other (before). Its
pickle is read by PyTorch's reader for weights, which builds tensors and plain containers and refuses every other name.
The few names of NumPy that training runs leave beside the weights (counters of samplers, scores) are read over: nothing
is built from them.

- :func:`read_state_dict`: tensors by name
- :func:`check_tensors`: those that a network needs, compared with its own names and shapes
"""

import os
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from earshift.errors import UserError

if TYPE_CHECKING:
    import torch

    State = dict[str, torch.Tensor]

_ZIP = b"PK\x03\x04"
_NUMPY = tuple(
    f"{module}.{name}"
    for module in ("numpy.core.multiarray", "numpy._core.multiarray")
    for name in ("_reconstruct", "scalar")
) + ("numpy.ndarray", "numpy.dtype")
_FEW = 3  # names that a message lists


class _ReadOver:
    """Stands for what NumPy pickled: takes everything, does nothing."""

    def __init__(self, *_: object) -> None:
        pass

    def __setstate__(self, state: object) -> None:
        pass


def read_state_dict(path: Path, *, key: str = "model") -> "State":
    """Tensors of the state dict that a checkpoint holds.

    Parameters
    ----------
    path : pathlib.Path
    key : str, where the state dict lies in the checkpoint

    Returns
    -------
    dict of str to torch.Tensor, on the CPU; those of a zip are mapped from the file, not read

    Raises
    ------
    UserError
        If the file is cut off, is no checkpoint, holds more than tensors and plain values, is compressed, or has no
        state dict under `key`.
    """
    import torch

    mapped = _is_zip(path)
    if mapped:
        _check_stored(path)
    names: list[Any] = [(type(name, (_ReadOver,), {}), name) for name in _NUMPY]
    try:
        with torch.serialization.safe_globals(names):
            checkpoint = torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except Exception as error:  # over bytes that are no checkpoint its reader stumbles in every possible way
        raise UserError(_unreadable(path, error)) from error
    state = checkpoint.get(key) if isinstance(checkpoint, dict) else None
    if not isinstance(state, dict) or not state:
        held = _few(checkpoint) if isinstance(checkpoint, dict) else type(checkpoint).__name__
        raise UserError(f"{path} has no state dict under {key!r}, only {held or 'nothing'}; is it of another network?")
    strange = [name for name, value in state.items() if type(name) is not str or not isinstance(value, torch.Tensor)]
    if strange:
        raise UserError(f"{path} holds more than tensors under {key!r}: {_few(strange)}; use a plain state dict")
    return dict(state)


def check_tensors(state: "State", expected: "Mapping[str, torch.Tensor]", path: Path, *, network: str) -> "State":
    """The tensors that a network needs, after a look at all names and shapes.

    Parameters
    ----------
    state : dict of str to torch.Tensor, of the checkpoint
    expected : dict of str to torch.Tensor, of the network (its values are not looked at)
    path : pathlib.Path, for messages
    network : str, for messages

    Returns
    -------
    dict of str to torch.Tensor, in the order of `expected`; floating-point values as float32

    Raises
    ------
    UserError
        Naming the first missing and unexpected tensors, or those of another shape or kind.
    """
    counters = {name for name in (*state, *expected) if name.endswith("num_batches_tracked")}  # older files lack them
    missing = [name for name in expected if name not in state and name not in counters]
    extra = [name for name in state if name not in expected and name not in counters]
    if missing or extra:
        found = [f"{len(names)} {kind} ({_few(names)})" for kind, names in (("missing", missing), ("unexpected", extra))
                 if names]  # fmt: skip
        raise UserError(f"{path} is not a checkpoint of {network}: tensors {', '.join(found)}")
    tensors = {name: state[name] for name in expected if name not in counters}
    other = [
        f"{name} {_kind(tensor)} {tuple(tensor.shape)}, expected {_kind(expected[name])} {tuple(expected[name].shape)}"
        for name, tensor in tensors.items()
        if tensor.shape != expected[name].shape or tensor.is_floating_point() != expected[name].is_floating_point()
    ]
    if other:
        raise UserError(f"{path} is not a checkpoint of {network}: {len(other)} tensors differ ({_few(other)})")
    return {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in tensors.items()}


def _is_zip(path: Path) -> bool:
    try:
        with open(path, "rb") as file:
            return file.read(len(_ZIP)) == _ZIP
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror})") from error


def _check_stored(path: Path) -> None:
    """Refuse a zip that unpacks to more than it is: PyTorch never compresses what it writes."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise UserError(_unreadable(path, error)) from error
    packed = [member.filename for member in members if member.compress_type != zipfile.ZIP_STORED]
    if packed or sum(member.file_size for member in members) > os.path.getsize(path):
        raise UserError(f"{path} is a compressed zip ({_few(packed)}), which PyTorch never writes; it was not opened")


def _unreadable(path: Path, error: Exception) -> str:
    import pickle

    reason = " ".join(str(error).split())
    if isinstance(error, pickle.UnpicklingError) and ("Unsupported" in reason or "global" in reason.lower()):
        wanted = reason.partition("Unsupported ")[2].partition(". ")[0][:200]
        return f"{path} would run more than it takes to read tensors ({wanted or reason[:200]}); it was not opened"
    return f"{path} is not a whole PyTorch checkpoint ({type(error).__name__}: {reason[:200]}); fetch it again"


def _few(names: Iterable[object]) -> str:
    texts = [str(name) for name in names]
    return ", ".join(texts[:_FEW]) + (", ..." if len(texts) > _FEW else "")


def _kind(tensor: "torch.Tensor") -> str:
    return str(tensor.dtype).removeprefix("torch.")
