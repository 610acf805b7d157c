"""params.yaml as strangers may send it, and what messages quote of it."""

import json
from dataclasses import dataclass
from typing import Annotated

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from earshift.errors import UserError
from earshift.options import Grid, Interval, Options, check
from earshift.pipeline import config
from earshift.plugins import import_class

LAUGHS = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)
MERGES = "a: &a {x: 1}\n" + "".join(
    f"{b}: &{b} {{<<: [{', '.join([f'*{a}'] * 9)}]}}\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (LAUGHS, "stands for more than 100000 keys and values"),
        (MERGES, "stands for more than 100000 keys and values"),
        ("a: &a [*a]", "stands for more than 100000 keys and values"),
        ("[" * 1500, "is not valid YAML"),
        ("a: " + "[" * 30 + "]" * 30, "nested more than 20 levels deep"),
        ("a: 2001-13-45", "is not valid YAML"),
        ("a: !!int x", "is not valid YAML"),
        ("a: !!timestamp x", "is not valid YAML"),
        ("a: " + "9" * 5000, "is not valid YAML"),
        ("a: 0x" + "f" * 5000, "more than 300 digits"),
        ("a: !!python/object/apply:os.system [true]", "is not valid YAML"),
        ("a: \xff".encode("latin-1"), "is not valid YAML"),
        ("a: " + "x" * (1 << 20), "larger than 1 MiB"),
        ("3", "must hold sections"),
    ],
    ids=["laughs", "merges", "itself", "open brackets", "deep", "no day", "no number", "no time", "digits",
         "hexadecimal", "a call", "no text", "large", "no sections"],
)  # fmt: skip
def test_yaml_that_is_none_or_grows(tmp_path, content, reason):
    path = tmp_path / "params.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UserError, match=reason) as caught:
        config.read(path)
    assert "\n" not in str(caught.value)


def test_a_few_aliases_are_fine(tmp_path):
    path = tmp_path / "params.yaml"
    path.write_text("a: &a {x: [1, 2]}\nb: *a\nc: {<<: *a, y: 3}\n")
    assert config.read(path) == {"a": {"x": [1, 2]}, "b": {"x": [1, 2]}, "c": {"x": [1, 2], "y": 3}}


@dataclass(frozen=True)
class Number(Options):
    x: Annotated[float, Interval(ge=0, le=1)]


@dataclass(frozen=True)
class Whole(Options):
    x: Annotated[int, Interval(ge=0, le=1)]


@dataclass(frozen=True)
class Values(Options):
    x: Annotated[tuple[float, ...], Grid(0, 1)]


@pytest.mark.parametrize("value", [10**400, -(10**400), float("nan"), float("inf"), "1", None, [], True])
def test_rules_refuse_what_is_no_number(value):
    with pytest.raises(UserError):
        check(Number, {"x": value}, "section")
    with pytest.raises(UserError):
        check(Whole, {"x": value}, "section")
    with pytest.raises(UserError):
        check(Values, {"x": [0, value]}, "section")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@pytest.fixture(scope="module")
def places():
    """params.yaml, and the ways to every value in it."""
    content = config.read()

    def ways(value, way=()):
        for key, inner in value.items() if isinstance(value, dict) else ():
            yield (*way, key)
            yield from ways(inner, (*way, key))

    return json.dumps(content), list(ways(content))


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_whatever_stands_in_params_is_taken_or_refused(places, data):
    text, ways = places
    content = json.loads(text)
    *way, last = data.draw(st.sampled_from(ways))
    inside = content
    for key in way:
        inside = inside[key]
    inside[last] = data.draw(JSON)
    try:
        config.parse(content)
    except UserError as error:
        assert str(error).isprintable() and len(str(error)) <= 2000


@pytest.mark.parametrize("path", [3, None, ":", "a", ".a:B", "..:B", "a..b:C", "a:"])
def test_names_of_classes_that_are_none(path):
    with pytest.raises(UserError, match="write it as package.module:Class"):
        import_class(path, object, "encoders.x.class")


def test_messages_hold_nothing_that_a_terminal_obeys():
    error = UserError("a.wav\x1b[2J\r is broken\nand so is é.wav\u202e")
    assert str(error) == "a.wav\\x1b[2J\\r is broken\nand so is é.wav\\u202e"


def test_long_messages_keep_their_end():
    text = str(UserError(f"x is {'y' * 10_000}; take it out"))
    assert len(text) <= 2000 and text.startswith("x is yyy") and text.endswith("; take it out")
