"""Arrays of networks in files: an uncompressed .npz, of which equal networks give equal bytes."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from earshift.errors import UserError
from earshift.storage.files import replacing

Arrays = Mapping[str, NDArray[Any]]


def write_arrays(path: Path, arrays: Arrays) -> None:
    """Write arrays, whole or not at all."""
    with replacing(path) as temporary, open(temporary, "wb") as file:
        np.savez(file, **dict(sorted(arrays.items())))  # type: ignore[arg-type]


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """Arrays by name.

    Raises
    ------
    UserError
        If there is no such file.
    """
    if not path.is_file():
        raise UserError(f"{path} is missing; `dvc repro models@{path.parent.name}` trains it, `dvc pull` fetches it")
    with np.load(path, allow_pickle=False) as arrays:
        return dict(arrays)


def arrays_of(network: nn.Module) -> dict[str, NDArray[Any]]:
    """All numbers of a network by name, those that are not learned included."""
    return {name: tensor.cpu().numpy() for name, tensor in network.state_dict().items()}


def load_arrays(network: nn.Module, arrays: Arrays, prefix: str = "") -> None:
    """Put the arrays whose names begin with `prefix` into a network."""
    network.load_state_dict({name: torch.from_numpy(array) for name, array in below(arrays, prefix).items()})


def below(arrays: Arrays, prefix: str) -> dict[str, NDArray[Any]]:
    """The arrays whose names begin with `prefix`, by the rest of their names."""
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
