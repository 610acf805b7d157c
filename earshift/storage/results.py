"""Results as JSON files that are the dump of a typed model.

An analysis declares the content of its file as a ``TypedDict`` beside its code. It is checked when it is written and
when it is read, so that a key that is renamed in one place is an error in the other.
"""

from os import PathLike
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from earshift.errors import UserError
from earshift.storage.files import round_floats, write_json

T = TypeVar("T")


def checked(model: type[T], content: Any) -> T:
    """`content` as the model says, floats rounded to six significant digits and NaN as None.

    Parameters
    ----------
    model : a TypedDict or a dataclass
    content : dict, plain or with NumPy's numbers and arrays

    Raises
    ------
    pydantic.ValidationError
        If it is not what the model says, which is a fault of the code.
    """
    return TypeAdapter(model).validate_python(round_floats(content))


def write_result(path: PathLike[str], model: type[T], content: Any) -> T:
    """Write a result, checked, whole or not at all; gives what was written."""
    found = checked(model, content)
    write_json(path, found)
    return found


def read_result(path: PathLike[str], model: type[T], *, stage: str = "") -> T:
    """The result in a file.

    Parameters
    ----------
    path : path
    model : a TypedDict or a dataclass
    stage : str, the stage that computes it, such as ``cca`` or ``perturb@gain``

    Raises
    ------
    UserError
        If it is missing, damaged, or of another version of the model.
    """
    try:
        return TypeAdapter(model).validate_json(Path(path).read_bytes())
    except FileNotFoundError as error:
        command = f"dvc repro {stage}".strip()
        raise UserError(f"{path} is missing; `{command}` computes it, `dvc pull` fetches it") from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"])) or "its content"
        raise UserError(
            f"{path} does not hold what this version writes ({place}: {first['msg'].lower()}); "
            "delete it and run `dvc repro`, which makes it alone"
        ) from error
