"""The code that computes an artifact, as one hash: when the code changes, the artifact is computed again.

Conventions
-----------
The code of a function is its module and every module that this one can reach by an import, late ones included. They are
found in the source text: nothing is imported, and there is no list to keep up to date. Modules of earshift, of stages
and of the packages of the roots are followed; other packages count by their versions. Imports for types only
(``if TYPE_CHECKING:``) are not followed, and neither are the modules of :data:`NUMBERLESS`. Classes that the program
finds by their names (corpora, perturbations, encoders) are reached by no import: their modules must be roots.

The hash comes from a walk of our own over the syntax tree, whose result is the same on Python 3.11 to 3.14; that of
``ast.dump`` is not. Comments, docstrings and white space do not count. Files that lie beside a module of earshift and
that it reads, such as templates, count by their bytes.
"""

import ast
import contextlib
import functools
import hashlib
import os
from collections.abc import Iterable, Iterator
from importlib.machinery import PathFinder
from importlib.util import decode_source, find_spec, resolve_name
from itertools import accumulate, groupby
from pathlib import Path
from typing import Any

from earshift.errors import UserError
from earshift.pipeline import paths
from earshift.storage.files import read_json, write_if_changed
from earshift.storage.hashes import digest

# Modules that cannot change a number, and packages of such modules, each with the reason
NUMBERLESS = {
    "earshift.errors": "It words messages.",
    "earshift.pipeline.accept": "It compares artifacts that others have computed.",
    "earshift.pipeline.arguments": "It reads names from a command line, and keys hold these names.",
    "earshift.pipeline.artifacts": "It compares keys and moves files that other modules compute.",
    "earshift.pipeline.cli": "It calls what a user asks for; no stage imports it.",
    "earshift.pipeline.cluster": "It calls functions on other machines and returns their results in order.",
    "earshift.pipeline.code": "It computes the hash of code, and keys hold this hash.",
    "earshift.pipeline.collect": "It removes artifacts that nothing uses.",
    "earshift.pipeline.command": "It turns errors into messages.",
    "earshift.pipeline.compute": "It decides where functions run and returns their results in order.",
    "earshift.pipeline.config": "It reads options, and keys hold the options as it returns them.",
    "earshift.pipeline.kernel_cache": "It names the folder of compiled functions.",
    "earshift.pipeline.merge": "It moves artifacts that others have computed.",
    "earshift.pipeline.packages": "It reads versions of packages, which keys hold.",
    "earshift.pipeline.paths": "It names the places of files, and keys hold the content of files.",
    "earshift.pipeline.pinning": "It sets numerical libraries up, and keys hold the profile that it sets.",
    "earshift.pipeline.preset": "It edits params.yaml, and keys hold the options in force.",
    "earshift.pipeline.profile": "It measures the time and the memory of stages.",
    "earshift.pipeline.progress": "It counts and prints what is finished.",
    "earshift.pipeline.queue": "It starts experiments, each of which has keys of its own.",
    "earshift.pipeline.sharing": "It moves finished files between machines.",
    "earshift.pipeline.side_by_side": "It calls what computes artifacts and names those that failed.",
    "earshift.pipeline.stamp": "It writes the commit into a finished page.",
    "earshift.pipeline.status": "It prints which results are out of date.",
    "earshift.pipeline.store": "It keeps files that others have computed.",
    "earshift.pipeline.tracking": "It shows finished results.",
    "earshift.pipeline.verify": "It prints how vectors compare with recorded ones, and no artifact is made from this.",
    "earshift.plugins": "It finds classes by name, and the module of the class that it finds is a root.",
    "earshift.protocols": "It declares types, and has the builtin map under a name of its own.",
    "earshift.storage.downloads": "It fetches files, and keys hold the hashes of files.",
    "earshift.storage.hashes": "It computes hashes of files, and keys hold these hashes.",
    "earshift.storage.provenance": "It computes hashes and reads versions, and keys hold both.",
}

_OURS = ("earshift", "stages")
_IMPORTING = {"import_module", "__import__"}
_BLOCKS = ("body", "orelse", "finalbody", "handlers", "cases")  # fields that hold statements
_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
_INTERPOLATED = ("JoinedStr", "TemplateStr")  # f"" and, since Python 3.14, t""
_NOT_COUNTED = {"ctx", "kind", "type_comment", "type_ignores"}  # fields that follow from others or change nothing
_NODES = [each for each in vars(ast).values() if isinstance(each, type) and issubclass(each, ast.AST)]
_COUNTED = {node: sorted(set(node._fields) - _NOT_COUNTED) for node in _NODES}

Known = tuple[tuple[int, int], str, "frozenset[Import]"]  # modification time and size of a file, its hash, its imports
Import = tuple[str, tuple[str, ...]]  # a module, with leading dots if relative, and the names that are taken from it
Place = tuple[list[str], str | None]  # folders of the modules below, none for a module, and the source file


def code_sha256(*roots: str) -> str:
    """SHA-256 over the names and the code of the modules of :func:`closure`, with its parameters and its errors.

    A file is parsed once, and again when its size or modification time have changed; :func:`remember` keeps what is
    known for other processes.
    """
    files = closure(*roots)
    lines = [f"{name} {_source(file)[0]}\n" for name, file in files.items()]
    lines += [f"{path.name} {digest(path)}\n" for name, file in files.items() for path in data_files(name, file)]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def data_files(name: str, file: Path) -> list[Path]:
    """What a module of earshift reads beside it, such as templates: all files around one that asks where it lies."""
    if name.partition(".")[0] not in _OURS or b"__file__" not in file.read_bytes():
        return []
    folders = [file.parent, *(each for each in file.parent.iterdir() if each.is_dir() and not any(each.glob("*.py")))]
    found = {path for folder in folders for path in (folder.glob("*") if folder == file.parent else folder.rglob("*"))}
    return sorted(path for path in found if path.is_file() and path.suffix not in (".py", ".pyc", ".typed"))


def closure(*roots: str) -> dict[str, Path]:
    """The roots, all modules that these reach by imports, and the packages around either.

    Parameters
    ----------
    roots : full names of modules, such as "stages.cca", or "my_encoders.thing" of another package

    Returns
    -------
    dict of str to pathlib.Path
        Source files by full name, sorted. Modules of :data:`NUMBERLESS` are left out unless they are roots.

    Raises
    ------
    UserError
        If a root has no source file, or if a file cannot be read or is not valid Python.
    """
    found: dict[str, Path] = {}
    _place.cache_clear()  # files may have come and gone
    for root in roots:
        if _place(root)[1] is None:
            raise UserError(f"there is no module {root} with Python source; put its folder on PYTHONPATH or install it")
    packages = {*_OURS, *(root.partition(".")[0] for root in roots)}
    left = {name for root in roots for name in _with_packages(root)}
    while left:
        name = left.pop()
        if (file := _place(name)[1]) is not None:
            found[name] = Path(file)
            package = name if found[name].name == "__init__.py" else name.rpartition(".")[0]
            reached = set(_reached(_source(found[name])[1], package)) - found.keys()
            followed = {each for each in reached if each.partition(".")[0] in packages}
            left |= {each for each in followed if NUMBERLESS.keys().isdisjoint(_with_packages(each))}
    return dict(sorted(found.items()))


def imported_packages(*roots: str) -> set[str]:
    """Names of all packages outside of the closure that its modules import, with the parameters of :func:`closure`."""
    files = closure(*roots)
    names = {module.partition(".")[0] for file in files.values() for module, _ in _source(file)[1]}
    return names - {"", *_OURS, *(root.partition(".")[0] for root in roots)}


def _with_packages(name: str) -> Iterator[str]:
    """a, a.b and a.b.c for a.b.c."""
    return accumulate(name.split("."), "{}.{}".format)


def _reached(imports: Iterable[Import], package: str) -> Iterator[str]:
    """Full names of what a module in `package` imports: modules, packages around them, and what may be a module."""
    for module, names in imports:
        with contextlib.suppress(ImportError):  # above the outermost package, where Python finds nothing either
            base = resolve_name(module, package)
            yield from _with_packages(base)
            yield from (f"{base}.{name}" for name in names)


@functools.cache
def _place(name: str) -> Place:
    """Where a module lies; its file is None where there is none. Upper and lower case count on every system."""
    package, _, last = name.rpartition(".")
    without_file = []
    for folder in _place(package)[0] if package else ():
        names, inner = os.listdir(folder), os.path.join(folder, last)
        if last in names and os.path.isfile(file := os.path.join(inner, "__init__.py")):
            return [inner], file
        if f"{last}.py" in names:
            return [], f"{inner}.py"
        without_file += [inner] * (last in names and os.path.isdir(inner))
    return (without_file, None) if package else _place_of_top(name)


def _place_of_top(name: str) -> Place:
    """Where a module or package outside of any other was imported from, else where it would be."""
    try:
        spec = find_spec(name)
    except (ImportError, ValueError):  # not a name, or a module that was made without a file
        spec = PathFinder.find_spec(name)
    if spec is None or spec.name != name:  # __main__ goes by the name of another module
        return [], None
    folders = filter(os.path.isdir, spec.submodule_search_locations or ())
    return list(map(os.path.abspath, folders)), spec.origin if str(spec.origin).endswith(".py") else None


def _source(file: Path) -> tuple[str, frozenset[Import]]:
    """SHA-256 of what of a file counts, and its imports."""
    try:
        stamp, name = _stamp(file), os.path.abspath(file)
        known = _remembered().get(name)
        if known is None or known[0] != stamp:
            known = _remembered()[name] = (stamp, *_parse(file))
        return known[1:]
    except OSError as error:
        raise UserError(f"{file} cannot be read ({error.strerror}); make it readable") from error


def _stamp(file: Path) -> tuple[int, int]:
    stat = file.stat()
    return stat.st_mtime_ns, stat.st_size


@functools.cache
def _remembered() -> dict[str, Known]:
    """What is known of files whose modification time and size have not changed, from earlier processes too."""
    found = read_json(paths.CODE_MEMORY)
    if not isinstance(found, dict) or found.get("by") != [*_stamp(Path(__file__))]:
        return {}  # it was written by another version of this module
    return {
        name: ((stamp[0], stamp[1]), sha256, frozenset((module, tuple(names)) for module, names in imports))
        for name, (stamp, sha256, imports) in found["files"].items()
    }


def remember() -> None:
    """Keep for the next process what is known of files."""
    files = {name: [stamp, sha256, sorted(imports)] for name, (stamp, sha256, imports) in sorted(_remembered().items())}
    write_if_changed(paths.CODE_MEMORY, {"by": _stamp(Path(__file__)), "files": files})


def _parse(file: Path) -> tuple[str, frozenset[Import]]:
    content = file.read_bytes()
    try:
        tree = ast.parse(text := decode_source(content))
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        line = getattr(error, "lineno", None) or content.count(b"\n", 0, getattr(error, "start", 0)) + 1
        reason = error.msg if isinstance(error, SyntaxError) else str(error) or "it is nested too deeply"
        raise UserError(f"{file}, line {line} is not valid Python ({reason}); correct it") from error
    called = _called_imports(tree) if any(name in text for name in _IMPORTING) else ()
    return hashlib.sha256(normalised(tree)).hexdigest(), frozenset([*_imports(tree), *called])


def _imports(tree: ast.Module) -> Iterator[Import]:
    """All import statements that can run, those in functions too."""
    left: list[ast.AST] = [tree]
    while left:
        node = left.pop()
        if isinstance(node, ast.Import):
            yield from ((alias.name, ()) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield "." * node.level + (node.module or ""), tuple(alias.name for alias in node.names)
        types_only = isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING")
        for block in _BLOCKS[types_only:]:
            left += getattr(node, block, ())


def _called_imports(tree: ast.Module) -> Iterator[Import]:
    """All calls of ``import_module`` with a literal name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _IMPORTING & {getattr(node.func, "id", ""), getattr(node.func, "attr", "")}:
            given = [*node.args, *(keyword.value for keyword in node.keywords)]
            texts = [each.value for each in given if isinstance(each, ast.Constant) and isinstance(each.value, str)]
            if texts:
                yield "".join(texts[1::-1]) if texts[0].startswith(".") else texts[0], ()


def normalised(source: str | ast.Module) -> bytes:
    """What of a module counts, from its text or its syntax tree: no docstrings, positions and comments.

    Every node is written as its class and its fields in the order of their names. A field without content is left out,
    so that fields which a later Python adds change nothing. Constants have their type. Raises as ``ast.parse``.
    """
    parts: list[str] = []
    left: list[ast.AST] = [ast.parse(source) if isinstance(source, str) else source]
    while left:  # a recursion would end at a depth that Python still understands
        node = left.pop()
        parts.append(f"\n{type(node).__name__}")
        for name in _COUNTED[type(node)]:
            value = getattr(node, name, None)
            values = _items(node, name, value) if isinstance(value, list) else [value]
            if values and (value is not None or isinstance(node, ast.Constant)):
                parts.append(f".{name}")
                for each in values:
                    parts.append("*" if isinstance(each, ast.AST) else _scalar(each))
                    if isinstance(each, ast.AST):
                        left.append(each)
    return "".join(parts).encode("utf-8", "surrogatepass")


def _items(node: ast.AST, field: str, items: list[Any]) -> list[Any]:
    """The items of a field that count: no docstring, and in f"" no empty text and neighbouring texts as one."""
    if field == "body" and isinstance(node, _DOCUMENTED):
        return items[ast.get_docstring(node, clean=False) is not None :]
    if type(node).__name__ not in _INTERPOLATED:
        return items
    runs = [(is_text, list(run)) for is_text, run in groupby(items, lambda each: isinstance(each, ast.Constant))]
    joined = [[ast.Constant("".join(each.value for each in run))] if is_text else run for is_text, run in runs]
    return [each for run in joined for each in run if not isinstance(each, ast.Constant) or each.value]


def _scalar(value: object) -> str:
    """A name, or the value of a constant: type, length and text. Integers in base 16, whose length has no limit."""
    text = value if isinstance(value, str) else hex(value) if isinstance(value, int) else repr(value)
    return f"={type(value).__name__}:{len(text)}:{text}"
