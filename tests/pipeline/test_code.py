"""The hash of code changes with every module that can take part in a computation, and with nothing else."""

import hashlib
import itertools
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from earshift.errors import UserError
from earshift.pipeline import code
from earshift.pipeline.code import NUMBERLESS, closure, code_sha256, imported_packages, normalised

REPOSITORY = Path(__file__).parents[2]
STAGES = sorted(f"stages.{path.stem}" for path in (REPOSITORY / "stages").glob("*.py") if path.stem != "__init__")
LIBRARY = (
    "earshift.analysis.cca", "earshift.analysis.consistency", "earshift.analysis.distances",
    "earshift.analysis.robustness", "earshift.analysis.svd", "earshift.analysis.trajectories",
    "earshift.corpora.packing", "earshift.encoders.inference", "earshift.encoders.mfcc",
    "earshift.perturbations.recipe", "earshift.report.summary",
)  # fmt: skip

# What a node can hold, and what Pythons may write differently
SAMPLE = '''
"""Docstring."""
from __future__ import annotations
from . import a
from ..b import c as d, e
@decorated
async def f(x, /, y: int = 1, *args, z, w=None, **kwargs) -> None:
    """Docstring."""
    async with g() as h, i: return
    return None
class K(B, metaclass=M):
    x: float = 1e-300
    global q
def t(): "docstring only"
print("é\\n\\ud800", b"\\x00'", u"u", "a" 'b', 1_000, 0xff, True, 1.0, 1e400, 2j, ..., {**k, None: 1}, {*s}, a[1:, ::2])
print(f"a{b!r:>{c}}{{d}}" "e" f"" f'{f=}' rf"\\d{g:%H:%M}" f"{h:}")
print(f"{'i' 'j'}" "", f"{k:\\n}", f"{{", f"", f"only text")
match m:
    case {"a": None, **r} | [1, *_] if n: pass
    case K(x=-1, y="y") as o: del p
try: raise A from B
except* C as e: (u := lambda *, v=1: v)
else: assert -0.0 < 1 not in [x async for x in y if not z for _ in z]
finally: x @= 1 if a and b or not c else await d
'''


def toy_package(folder, **files):
    """Write modules of a package `toy` by path without suffix, "__" standing for a slash."""
    for name, text in {"toy__init": "", **files}.items():
        *above, last = name.split("__")
        path = folder.joinpath(*above, f"{'__init__' if last == 'init' else last}.py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


@pytest.fixture
def toys(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    return lambda **files: toy_package(tmp_path, **files)


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """A copy of the code, which no one else changes."""
    folder = tmp_path_factory.mktemp("tree")
    for name in ("earshift", "stages"):
        shutil.copytree(REPOSITORY / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def run(program, folder, *arguments, python=sys.executable):
    environment = os.environ | {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": "", "PYTHONWARNINGS": "ignore"}
    command = [python, "-c", program, *arguments]
    ended = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=600)
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


# ---------------------------------------------------------------------------------------------------------- what counts


@pytest.mark.parametrize(
    "one, other",
    [
        ("x = 1", "# Why\n\nx  =  1  # this\n"),
        ("x = 1", '"""What."""\nx = 1'),
        ("def f():\n    return 1", 'def f():\n\n    """What."""\n    return (\n        1\n    )'),
        ("async def f(): await g", "async def f():\n  'What'\n  await g"),
        ("class A:\n    x = 1", "class A:\n\t'''What\n\tand how'''\n\tx = 1"),
        ("def f(): 'this'", "def f(): 'that' 'too'"),
        ("x = 'a\"b'", 'x = "a\\"b"'),
        ("x = 'ab'", "x = u'a' '' 'b'"),
        ("x = [1000, 255, 0.5]", "x = [1_000, 0xFF, 5e-1]"),
        ("x = f'a{y}b{z}c'", "x = 'a' f'{y}' 'b' '' f'{z}c'"),
        ("if a: pass\nelif b: pass", "if a: pass\nelse:\n    if b: pass"),
        ("x = []", "x = []  # type: list[int]"),
        ("f(a, b)", "f(a,\r\n  b,)\r\n"),
    ],
)
def test_what_does_not_count(one, other):
    assert normalised(one) == normalised(other)


CONSTANTS = ("1", "2", "True", "1.0", "1.0000000000000002", "-1", "- -1", "1j", "'1'", "b'1'", "None", "...", "'None'",
             "1e400", "-0.0", "0.0", "()", "[]",
             "'=int:3:0x1'", "'*'", "f'1'", "f'{1}'", "f'{1!r}'", "f'{1:>1}'")  # fmt: skip


@pytest.mark.parametrize(
    "variants",
    [
        [f"x = {constant}" for constant in CONSTANTS],
        ["x = a + b", "x = a - b", "x = b + a", "y = a + b", "x += a + b", "x = a @ b", "x: int = a + b"],
        ["def f(a=1): pass", "def f(a=2): pass", "def f(a): pass", "def f(*, a=1): pass", "def g(a=1): pass",
         "async def f(a=1): pass", "@g\ndef f(a=1): pass", "@h\ndef f(a=1): pass", "@g()\ndef f(a=1): pass",
         "def f(a=1) -> int: pass", "def f(a: int = 1): pass", "def f(a=1): 'docstring'", "def f(a=1): return"],
        ["def f(*, a, b=None): pass", "def f(*, a=None, b): pass", "def f(*, a=None, b=None): pass"],
        ["def f(): return", "def f(): return None", "def f(): None", "def f(): yield", "def f(): 1"],
        ["x = {**a}", "x = {None: a}", "x = {a: None}", "x = {a}", "x = {}"],
        ["import a", "import b", "import a.b", "import a as b", "from a import b", "from .a import b",
         "from ..a import b", "from . import a", "from a import *", "def f(): import a", "def f(): import b"],
        ["x = 1\n'text'", "x = 1\n'other'", "x = 1", "b'bytes'\nx = 1", "f''\nx = 1"],
        ["match x:\n case None: pass", "match x:\n case True: pass", "match x:\n case _: pass",
         "match x:\n case y: pass", "match x:\n case [*_]: pass", "match x:\n case [*y]: pass"],
        ["x = a[1:]", "x = a[:1]", "x = a[::1]", "x = a[1]", "a[1:] = x"],
        ["f(a, b)", "f(a, *b)", "f(a, **b)", "f(a, b=b)", "f(a)(b)", "f([a, b])", "f((a, b))"],
        ["x = [a for a in b]", "x = [a for a in b if a]", "x = {a for a in b}", "x = (a for a in b)",
         "async def f(): x = [a async for a in b]", "async def f(): x = [a for a in b]"],
        ["try: a\nexcept B: c", "try: a\nexcept* B: c", "try: a\nexcept B as c: c", "try: a\nexcept: c",
         "try: a\nfinally: c", "try: a\nexcept B: c\nelse: d", "try: a\nexcept B: c\nfinally: d"],
    ],
)  # fmt: skip
def test_what_counts(variants):
    assert len({normalised(each) for each in variants}) == len(variants)


def test_what_python_can_parse_is_not_too_deep():
    assert normalised("+".join(["a"] * 1500)) != normalised("+".join(["a"] * 1501))


def test_the_hash_of_a_text_is_known():
    """Whichever Python runs this: keys of artifacts go from machine to machine."""
    assert (
        hashlib.sha256(normalised(SAMPLE)).hexdigest()
        == "44b14fd03aa44429161f2908c53fa4ba50fdbba0ed75286e450664f47f8a1567"
    )


@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13", "3.14"])
def test_other_pythons_have_the_same_hashes(version, tree):
    python = shutil.which(f"python{version}")
    if version == f"{sys.version_info.major}.{sys.version_info.minor}":
        pytest.skip("this is the Python that runs the tests")
    if python is None or subprocess.run([python, "-c", ""], capture_output=True).returncode:
        pytest.skip(f"there is no python{version} that runs here")
    program = (
        "import hashlib, json, pathlib\n"
        "from earshift.pipeline.code import normalised\n"
        "texts = {str(path): path.read_text('utf-8') for path in pathlib.Path().rglob('*.py')}\n"
        "print(json.dumps({path: hashlib.sha256(normalised(text)).hexdigest() for path, text in texts.items()}))"
    )
    here = run(program, tree)
    assert len(here) > 100 and run(program, tree, python=python) == here


# ------------------------------------------------------------------------------------------------------ what is reached


def test_every_form_of_import_is_followed(toys):
    toys(
        toy__root="import toy.plain\nimport toy.inner.deep as d, os\nfrom toy import module, name\nfrom . import near\n"
        "from .inner.lower import value\nfrom toy.wild import *\nimport numpy, other\n"
        "def f():\n  from toy.late import x\n  with y:\n    import toy.later\n"
        "class A:\n  if a: pass\n  else: import toy.branch\n"
        "try: import toy.tried\nexcept ImportError: import toy.caught\n"
        "else: import toy.fine\nfinally: import toy.last\n"
        "match x:\n  case 1: import toy.matched\n"
        "for x in y:\n  while x: import toy.looped\n"
        "importlib.import_module('toy.called')\nimport_module(name='toy.named')\n"
        "importlib.import_module('.relative', 'toy.inner')\n__import__('toy.dunder')\nimportlib.import_module(x)\n",
        toy__inner__init="from . import of_init",
        toy__inner__deep="from .. import above\nfrom ..beside import x\nfrom ... import too_far\n",
        toy__inner__of_init="",
        toy__inner__lower="import toy.root",
        toy__inner__relative="",
        **{f"toy__{name}": "" for name in (
            "plain", "module", "near", "wild", "late", "later", "branch", "tried", "caught", "fine", "last", "matched",
            "looped", "called", "named", "dunder", "above", "beside", "unused",
        )},
        other="x = 1",
    )  # fmt: skip
    before = set(sys.modules)
    found = closure("toy.root")
    assert set(sys.modules) == before, "nothing is imported"
    assert list(found) == sorted(found)
    assert set(found) == {"toy", "toy.root", "toy.inner"} | {f"toy.{name}" for name in (
        "plain", "module", "near", "wild", "late", "later", "branch", "tried", "caught", "fine", "last", "matched",
        "looped", "called", "named", "dunder", "above", "beside", "inner.deep", "inner.of_init", "inner.lower",
        "inner.relative",
    )}  # fmt: skip
    assert all(path.is_file() and path.is_absolute() for path in found.values())
    assert imported_packages("toy.root") == {"os", "numpy", "other"}


def test_imports_for_types_are_not_followed(toys):
    toys(
        toy__root="import typing\nfrom typing import TYPE_CHECKING\nif TYPE_CHECKING:\n  import toy.one\n"
        "else:\n  import toy.two\n"
        "def f():\n  if typing.TYPE_CHECKING:\n    from toy import three\n  elif x: import toy.four\n"
        "if not TYPE_CHECKING: import toy.five\nif other.TYPE_CHECKING: import toy.six\n",
        **{f"toy__{name}": "" for name in ("one", "two", "three", "four", "five", "six")},
    )
    assert set(closure("toy.root")) == {"toy", "toy.root", "toy.two", "toy.four", "toy.five", "toy.six"}


def test_own_code_reaches_that_of_earshift(toys):
    toys(toy__root="def f():\n  from earshift.encoders.base import Encoder\n  from earshift.errors import UserError")
    found = set(closure("toy.root"))
    assert {"toy", "earshift", "earshift.encoders", "earshift.encoders.base", "earshift.storage.files"} <= found
    assert not {name for name in found if name in NUMBERLESS or name.startswith("earshift.encoders.m")}


def test_modules_beside_packages(toys, tmp_path):
    toys(single="import helper, toy\nfrom . import nothing", helper="", toy__x="")
    assert closure("single") == {"single": tmp_path / "single.py"}
    assert closure("single", "helper") == {name: tmp_path / f"{name}.py" for name in ("helper", "single")}
    toys(space__inner__module="from space import other", space__other="", space__module="")
    assert set(closure("space.inner.module")) == {"space.inner.module", "space.other"}, "no __init__.py is needed"
    toys(toy__both="x = 1", toy__both__init="x = 2")
    assert closure("toy.both")["toy.both"] == tmp_path / "toy/both/__init__.py", "as Python chooses"


def test_names_agree_in_upper_and_lower_case(toys):
    toys(toy__root="from toy import Thing, thingS", toy__thing="")
    assert set(closure("toy.root")) == {"toy", "toy.root"}


def test_roots_are_in_their_closure_whatever_they_are():
    assert "earshift.errors" in closure("earshift.errors") and "earshift.errors" in NUMBERLESS
    assert "earshift.errors" not in closure("earshift.storage.files")


# ------------------------------------------------------------------------------------------------------------- the hash


def test_a_hash_stands_for_what_is_reached(toys, tmp_path):
    toys(toy__root="def f():\n  from toy import late", toy__late="x = 1", toy__other="x = 1")
    first = code_sha256("toy.root")
    toys(toy__root="def f():\n  # why\n  from toy import late", toy__other="x = 2")
    assert code_sha256("toy.root") == first
    toys(toy__late="x = 2")
    second = code_sha256("toy.root")
    toys(toy__init="x = 1")
    third = code_sha256("toy.root")
    (tmp_path / "toy/late.py").unlink()
    fourth = code_sha256("toy.root")
    assert len({first, second, third, fourth}) == 4
    toys(toy__init="", toy__late="x = 1")
    assert code_sha256("toy.root") == first
    assert code_sha256("toy.root", "toy.other") == code_sha256("toy.other", "toy.root", "toy.root") != first


def test_a_hash_stands_for_the_names_of_modules(toys):
    toys(toy__a="", toy__b="")
    assert code_sha256("toy.a") != code_sha256("toy.b")


def test_a_file_is_parsed_once(toys, monkeypatch):
    toys(toy__root="x = 1")
    before = code_sha256("toy.root")
    monkeypatch.setattr(code.ast, "parse", None)
    assert code_sha256("toy.root") == before


@pytest.fixture
def new_process(tmp_path, monkeypatch):
    """A function that forgets all but what was kept on disk, and gives the names of the files that are parsed then."""
    monkeypatch.setattr(code.paths, "CODE_MEMORY", tmp_path / "memory.json")
    parse, parsed = code._parse, list[str]()
    monkeypatch.setattr(code, "_parse", lambda file: (parsed.append(file.name), parse(file))[1])

    def start():
        code._remembered.cache_clear()
        parsed.clear()
        return parsed

    yield start
    code._remembered.cache_clear()


def test_another_process_parses_what_has_changed_and_nothing_else(toys, new_process):
    toys(toy__root="from toy import other", toy__other="x = 1")
    new_process()
    before = code_sha256("toy.root")
    code.remember()
    parsed = new_process()
    assert code_sha256("toy.root") == before and not parsed
    toys(toy__root="from toy import other", toy__other="x = 123")
    parsed = new_process()
    assert code_sha256("toy.root") != before and "other.py" in parsed


def test_what_another_version_kept_does_not_count(toys, new_process, tmp_path):
    toys(toy__root="x = 1")
    new_process()
    before = code_sha256("toy.root")
    code.remember()
    kept = json.loads((tmp_path / "memory.json").read_text())
    for name in kept["files"]:
        kept["files"][name][1] = "0" * 64
    for by in (kept["by"], [0, 0]):
        (tmp_path / "memory.json").write_text(json.dumps({**kept, "by": by}))
        new_process()
        assert (code_sha256("toy.root") == before) == (by == [0, 0])


def test_a_root_that_does_not_exist():
    for name in ("toy.nowhere", "nowhere", "", ".", "..x", "earshift.", "earshift..errors", "stages.cca.main", "sys"):
        with pytest.raises(UserError, match=f"no module {name} with"):
            closure("earshift.errors", name)
    with pytest.raises(UserError, match="no module __main__ with"):
        closure("__main__")


@pytest.mark.parametrize(
    "content, line",
    [(b"x = 1\ny = (\n", 2), (b"x = 1\nx = '\xff'\n", 2), (b"# coding: none\n", 1), (b"x\nif a:\nb", 3)],
)
def test_a_file_that_is_no_python_is_named(content, line, toys, tmp_path):
    toys(toy__root="import toy.broken")
    (tmp_path / "toy/broken.py").write_bytes(content)
    with pytest.raises(UserError, match=rf"broken.py, line {line} is not valid Python \(.+\); correct it"):
        code_sha256("toy.root")


def test_a_file_that_cannot_be_read_is_named(toys, tmp_path):
    toys(toy__root="import toy.folder")
    (tmp_path / "toy/folder.py").mkdir()
    with pytest.raises(UserError, match=r"folder.py cannot be read \(.+\)"):
        code_sha256("toy.root")
    (tmp_path / "toy/root.py").write_bytes(b"x = '\0'")
    with pytest.raises(UserError, match=r"root.py, line 1 is not valid Python"):
        code_sha256("toy.root")


def test_encodings_are_those_of_python(toys, tmp_path):
    toys(toy__root="")
    hashes = set()
    for content in ("x = 'é'".encode(), "\ufeffx = 'é'".encode(), "# coding: latin-1\nx = 'é'".encode("latin-1")):
        (tmp_path / "toy/root.py").write_bytes(content)
        hashes.add(code_sha256("toy.root"))
    assert len(hashes) == 1


# ------------------------------------------------------------------------------------------------------------ this code


def test_numberless_modules_exist_and_say_why():
    for name, reason in NUMBERLESS.items():
        path = REPOSITORY.joinpath(*name.split("."))
        assert path.with_suffix(".py").is_file() or (path / "__init__.py").is_file(), name
        assert reason[0].isupper() and reason.endswith(".") and len(reason.split()) > 2, name
    assert not [name for name in NUMBERLESS for other in NUMBERLESS if name.startswith(f"{other}.")]


def test_stages_reach_what_computes():
    reached = {
        "cca": "analysis.cca", "svd": "analysis.svd", "consistency": "analysis.consistency", "embed": "encoders.base",
        "robustness": "pipeline.robustness", "report": "report.page.page", "perturb": "perturbations.recipe",
        "corpus": "corpora.packing", "distances": "analysis.dtw",
    }  # fmt: skip
    for stage, module in reached.items():
        assert {f"earshift.{module}", f"stages.{stage}", "stages", "earshift.storage.files"} <= set(
            closure(f"stages.{stage}")
        )


CHANGE = """
import json, pathlib, sys
from earshift.pipeline import code
from earshift.pipeline.code import NUMBERLESS, closure, code_sha256

def change(path):
    with open(path, "a", encoding="utf-8") as file:
        file.write("\\n_changed = 0\\n")

def hashes():
    return {stage: code_sha256(stage) for stage in sys.argv[1:]}

def differing(one, other):
    return {stage for stage in one if one[stage] != other[stage]}

problems, found = [], {stage: closure(stage) for stage in sys.argv[1:]}
code.closure = found.get  # no change here changes it
before = hashes()
for name, path in {name: path for modules in found.values() for name, path in modules.items()}.items():
    assert pathlib.Path.cwd() in path.parents
    change(path)
    after = hashes()
    if differing(before, after) != {stage for stage, modules in found.items() if name in modules}:
        problems.append(name)
    before = after
code.closure = closure
for name in NUMBERLESS:
    path = pathlib.Path(*name.split("."))
    for file in [path.with_suffix(".py"), *path.rglob("*.py")]:
        if file.is_file():
            change(file)
            file.write_text("import earshift.report.page.page\\n" + file.read_text("utf-8"), "utf-8")
problems += differing(before, hashes())
print(json.dumps(problems))
"""


def test_a_change_of_a_module_changes_the_stages_that_reach_it_and_no_others(tree, tmp_path):
    shutil.copytree(tree, tmp_path / "copy")
    assert len(STAGES) > 10
    assert run(CHANGE, tmp_path / "copy", *STAGES) == []


@pytest.mark.parametrize("root", LIBRARY)
def test_whatever_python_imports_is_in_the_closure(root, tree):
    program = "import json, sys, importlib; importlib.import_module(sys.argv[1]); print(json.dumps([*sys.modules]))"
    imported = {name for name in run(program, tree, root) if name.split(".")[0] == "earshift"}
    found = closure(root)
    assert root in imported and len(imported) > 3
    assert not {name for name in imported - found.keys() if not is_numberless(name)}


def is_numberless(name):
    return any(package in NUMBERLESS for package in itertools.accumulate(name.split("."), "{}.{}".format))


def test_every_module_can_be_a_root():
    names = [
        ".".join(path.relative_to(REPOSITORY).with_suffix("").parts).removesuffix(".__init__")
        for path in (REPOSITORY / "earshift").rglob("*.py")
    ]
    assert len(names) > 100
    assert all(name in closure(name) for name in names)


def test_no_stage_reaches_a_plugin_by_an_import():
    """The modules of encoders are roots of their own: a change of one costs the results of this one alone."""
    for stage in STAGES:
        assert not {f"earshift.encoders.{name}" for name in ("clap", "musicnn", "openl3", "panns")} & set(
            closure(stage)
        )
