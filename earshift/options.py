"""Options as typed dataclasses that are checked when they are read.

Conventions
-----------
Every number has one home, params.yaml: no option has a default in code. A set of options is a frozen dataclass that
extends :class:`Options`; its fields carry their bounds in their types, so corpora, perturbations, encoders and analyses
declare theirs beside their code::

    @dataclass(frozen=True)
    class Cca(Options):
        ridge: Annotated[float, Interval(ge=0, le=10)]
        seed: Seed

:func:`check` makes one from the plain content of a YAML section. pydantic validates; the errors are ours, because each
of them has to name the key, the value, the bounds and the fix.
"""

import dataclasses
import difflib
import functools
import json
import types
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from annotated_types import Interval
from pydantic import AfterValidator, BeforeValidator, ConfigDict, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError, core_schema

from earshift.errors import UserError

__all__ = [
    "Bounds",
    "Confidence",
    "Count",
    "Grid",
    "Interval",
    "Known",
    "Names",
    "Options",
    "Seed",
    "Text",
    "check",
    "check_all",
    "choose",
]


class Options:
    """Base of every set of options: unknown keys are refused, and values are never converted from another type."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)


T = TypeVar("T")

_UNKNOWN = "unexpected_keyword_argument"  # pydantic's name of that error


def problem(template: str, **context: object) -> PydanticCustomError:
    """An error for a validator to raise: :func:`check` puts the option's key before its text."""
    return PydanticCustomError("earshift", template, context)


def value_text(value: float | str) -> str:
    """The canonical text of a perturbation's value: file name, key and label alike (-40, 0.5, 18333.333)."""
    return format(float(value) + 0.0, ".10g")


def hint(word: object, known: Iterable[object]) -> str:
    """ "; did you mean ...?" where one of the known words is close, else ""."""
    close = difflib.get_close_matches(str(word), [str(k) for k in known], n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


# ----------------------------------------------------------------------------------------------------- types of options


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _first_twin(values: list[Any]) -> Any:
    return next(value for i, value in enumerate(values) if value in values[:i])


def _text(value: str) -> str:
    if not value.strip() or "\0" in value:
        raise problem("is {value}; it must be a text", value=repr(value))
    return value


def _names(value: object) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or not value or not all(isinstance(v, str) and v for v in value):
        raise problem("is {value}; it must be a list of names with at least one entry", value=repr(value))
    if len(set(value)) < len(value):
        raise problem("names {value} twice; name each once", value=repr(_first_twin(list(value))))
    return tuple(value)


Seed = Annotated[int, Interval(ge=0, le=2**32 - 1)]
Confidence = Annotated[float, Interval(ge=0.5, le=0.999)]
Count = Annotated[int, Interval(ge=1, le=1_000_000)]
Text = Annotated[str, AfterValidator(_text)]
Names = Annotated[tuple[str, ...], BeforeValidator(_names)]


@dataclass(frozen=True)
class Bounds:
    """In ``Annotated[tuple[float, ...], Bounds(low, high)]``: a list of different numbers from low to high.

    shortest : int, how many it has at least
    whole : bool, whether they must be whole numbers
    """

    low: float
    high: float
    shortest: int = 1
    whole: bool = False

    def numbers(self, value: object) -> tuple[float, ...]:
        """The numbers of a list in the order in which they are written."""
        if not isinstance(value, list | tuple) or len(value) < self.shortest:
            least = {1: "one value", 2: "two values"}.get(self.shortest, f"{self.shortest} values")
            raise problem("is {value}; it must be a list of at least {least}", value=repr(value), least=least)
        for v in value:
            if not _is_number(v) or not self.low <= v <= self.high or (self.whole and v != int(v)):
                kind = f"{'whole ' if self.whole else ''}numbers from {self.low:g} to {self.high:g}"
                raise problem("holds {value}; its values must be {kind}", value=repr(v), kind=kind)
        texts = [value_text(v) for v in value]
        if len(set(texts)) < len(texts):
            raise problem("holds {value} twice; write each value once", value=_first_twin(texts))
        return tuple(float(v) for v in value)

    def __get_pydantic_core_schema__(self, source: object, handler: Any) -> Any:
        return core_schema.no_info_before_validator_function(self.numbers, handler(source))


@dataclass(frozen=True)
class Known:
    """In ``Annotated[Names, Known("dtw", "simple")]``: names out of a few; with ``or_none`` there may be none."""

    names: tuple[str, ...]
    or_none: bool

    def __init__(self, *names: str, or_none: bool = False) -> None:
        object.__setattr__(self, "names", names)
        object.__setattr__(self, "or_none", or_none)

    def chosen(self, value: object) -> tuple[str, ...]:
        """The names of a list in the order in which they are written."""
        if self.or_none and value == []:
            return ()
        chosen = _names(value)
        for name in chosen:
            if name not in self.names:
                known = f"{', '.join(self.names)}{hint(name, self.names)}"
                raise problem("names {value}; known: {known}", value=repr(name), known=known)
        return chosen

    def __get_pydantic_core_schema__(self, source: object, handler: Any) -> Any:
        return core_schema.no_info_plain_validator_function(self.chosen)


def Grid(low: float, high: float, *, whole: bool = False) -> Bounds:  # noqa: N802, it stands where a type does
    """At least two different numbers in [low, high]; the order in which they are written does not matter."""
    return Bounds(low, high, shortest=2, whole=whole)


# ------------------------------------------------------------------------------------------------------------- checking


def choose(key: str, value: object, known: Iterable[str]) -> str:
    """`value` where it is one of the known words.

    Raises
    ------
    UserError
        Naming the key, the value and the known words.
    """
    known = tuple(known)
    if not isinstance(value, str) or value not in known:
        raise UserError(f"{key} is {value!r}; it must be one of {', '.join(known)}{hint(value, known)}")
    return value


def check(cls: type[T], values: object, key: str) -> T:
    """An instance of an options dataclass from the plain content of a section.

    Parameters
    ----------
    cls : a frozen dataclass, as a rule an :class:`Options`; a class without options need not be a dataclass
    values : dict, or None for an empty section
    key : str, where it stands in params.yaml, such as ``encoders.musicnn``

    Raises
    ------
    UserError
        On an unknown or missing key, or a value that is not what its field says.
    """
    found: T = check_all({key: cls}, {key: values})[key]
    return found


def check_all(classes: Mapping[str, type], contents: Mapping[str, object]) -> dict[str, Any]:
    """Instances of several options dataclasses by key, as :func:`check` makes each.

    One validator is built for all, which takes less than half of the time of many.
    """
    texts = []
    for key in classes:
        content = {} if contents.get(key) is None else contents[key]
        if not isinstance(content, Mapping):
            raise UserError(f"{key} is {content!r}; it must be a section of keys and values")
        try:
            # by way of JSON, whose strict mode takes lists for tuples and sections for dataclasses, and nothing else
            texts.append(json.dumps(dict(content), default=lambda value: [repr(value)]))
        except TypeError as error:
            raise UserError(f"{key} holds a key that is no text; write its keys as words") from error
    wanted = [cls if dataclasses.is_dataclass(cls) else _NoOptions for cls in classes.values()]
    try:
        found = _validator(*wanted).validate_json(f"[{','.join(texts)}]")
    except ValidationError as error:
        # the first section with an error; in it, an unknown key may explain a missing one
        first = min(error.errors(include_url=False), key=lambda e: (e["loc"][0], e["type"] != _UNKNOWN))
        place = int(first["loc"][0])
        raise UserError(_message(wanted[place], list(classes)[place], first)) from error
    made = zip(classes.items(), found, strict=True)
    return {key: cls() if isinstance(options, _NoOptions) else options for (key, cls), options in made}


@functools.lru_cache(maxsize=32)
def _validator(*classes: type) -> TypeAdapter[Any]:
    """What makes a tuple of instances of these classes; building it takes longer than all that it does."""
    form: Any = types.GenericAlias(tuple, classes)
    return TypeAdapter[Any](form)


@dataclass(frozen=True)
class _NoOptions(Options):
    pass


def _message(cls: type, key: str, error: ErrorDetails) -> str:
    """What is wrong with one option: its key, its value and what it may be."""
    options, place, wanted = _fields(cls), key, None
    for part in error["loc"][1:]:
        if part in options:
            place, wanted = f"{place}.{part}", options[part]
            options = _fields(_dataclass_of(wanted))
        elif error["type"] == _UNKNOWN:
            known = ", ".join(options) or "none"
            return f"unknown key {place}.{part}; known keys there: {known}{hint(part, options)}"
    value = error["input"]
    if error["type"] == "missing":
        return f"missing key {place} in params.yaml; params.yaml as committed has it"
    if error["type"] == "earshift":
        return f"{place} {error['msg']}"
    if error["type"].startswith("dataclass"):
        return f"{place} is {value!r}; it must be a section of keys and values"
    return f"{place} is {value!r}; it must be {_described(wanted)}{_hint_of(value, wanted)}"


def _fields(cls: type | None) -> dict[str, Any]:
    """The types of the options of a dataclass, with their bounds."""
    if cls is None:
        return {}
    hints = get_type_hints(cls, include_extras=True)
    return {field.name: hints[field.name] for field in dataclasses.fields(cls)}


def _parts(wanted: object) -> tuple[list[Any], bool]:
    """The types that a field allows beside None, and whether it allows None."""
    if get_origin(wanted) in (Union, types.UnionType):
        parts = list(get_args(wanted))
        return [p for p in parts if p is not type(None)], type(None) in parts
    return [wanted], False


def _dataclass_of(wanted: object) -> type | None:
    found = [p for p in _parts(wanted)[0] if isinstance(p, type) and dataclasses.is_dataclass(p)]
    return found[0] if found else None


def _described(wanted: object) -> str:
    """What a field may be, in words."""
    parts, nullable = _parts(wanted)
    words = [_described_type(part) for part in parts] + (["null"] if nullable else [])
    separator = ", or " if nullable else " or "
    return f"{' or '.join(words[:-1])}{separator}{words[-1]}" if len(words) > 1 else words[0]


def _described_type(part: Any) -> str:
    base, extras = (get_args(part)[0], get_args(part)[1:]) if get_origin(part) is Annotated else (part, ())
    if get_origin(base) is Literal:
        choices = get_args(base)
        return f"{'one of ' if len(choices) > 1 else ''}{', '.join(map(str, choices))}"
    number = "" if base is int else "g"
    limits = "".join(f" from {b.ge:{number}} to {b.le:{number}}" for b in extras if isinstance(b, Interval))
    names = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}
    return f"{names.get(base, 'of another kind')}{limits}"


def _hint_of(value: object, wanted: object) -> str:
    known = [c for part in _parts(wanted)[0] if get_origin(part) is Literal for c in get_args(part)]
    return hint(value, known) if known else ""
