"""Artifacts: the one place that makes keys, decides what is reused, and keeps what was computed.

An artifact is a file, or a few files that belong together, with a key: the hash of all that determines them, which is
the content of what they are computed from, options, code, versions of packages and the profile of the numerics. An
output of a stage holds artifacts and an ``index.json``, which has the key of each and the SHA-256 of its files. ::

    output = open_output(paths.METRICS / "cca", wanted, also=[paths.PLOTS / "cca"])
    for artifact in output.missing():
        with making(artifact) as root:
            ...                        # write the files of the artifact under root
        output.take(artifact)

:meth:`Output.missing` looks at every artifact in its place, then in the store (:mod:`earshift.pipeline.store`), and
gives those that nobody has. It removes what is not wanted; the store has it. :func:`making` puts a finished artifact
into the store, so a kill loses what was under way and no more, and :meth:`Output.take` puts it from there in its place.
"""

import contextlib
import functools
import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from earshift.errors import UserError
from earshift.pipeline import paths, pinning
from earshift.pipeline.code import code_sha256
from earshift.pipeline.packages import package_versions
from earshift.pipeline.store import Manifest, Store
from earshift.storage.files import read_json, remove_leftovers, write_json
from earshift.storage.hashes import digest, hash_files
from earshift.storage.provenance import fingerprint

INDEX = "index.json"
ACCEPT = "EARSHIFT_ACCEPT"  # set by `earshift accept`: how many artifacts of each output are computed again


@dataclass(frozen=True)
class Key:
    """What determines an artifact.

    kind : what it is, such as ``embed``
    contents : hashes of what it is computed from, by name; clips are named ``clips``
    options : all that is chosen
    code : hash of the code that computes it
    packages : versions of the packages that this code imports
    """

    kind: str
    contents: Mapping[str, Any]
    options: Any
    code: str
    packages: Mapping[str, str]
    numerics: str = field(default_factory=lambda: pinning.NUMERICS)

    @property
    def sha256(self) -> str:
        """The key itself."""
        return fingerprint(basis=self.basis, code=self.code)

    @property
    def basis(self) -> str:
        """Hash of all but the code: equal where only the code has changed."""
        return self._hash(code="")

    @property
    def family(self) -> str:
        """Hash of all but the clips: artifacts of one family have equal rows for equal clips."""
        return self._hash(contents={name: each for name, each in self.contents.items() if name != "clips"})

    @property
    def settings(self) -> str:
        """Hash of all but the clips and the code."""
        return replace(self, code="").family

    def _hash(self, **instead: Any) -> str:
        parts = {each.name: getattr(self, each.name) for each in fields(self)}
        return fingerprint(**_plain({**parts, **instead}))


def make_key(
    kind: str, *, contents: Mapping[str, Any], options: Any, code: Sequence[str], packages: Mapping[str, str] = {}
) -> Key:
    """The key of an artifact.

    Parameters
    ----------
    kind, contents, options : see :class:`Key`; options may be dataclasses
    code : names of the modules that compute it; whatever of earshift they import counts as well
    packages : versions of further packages, beside those that the code imports
    """
    sha256, versions = _code(*code)
    return Key(kind, contents, options, sha256, {**versions, **packages})


@functools.cache
def _code(*modules: str) -> tuple[str, dict[str, str]]:
    """Hash of code and versions of its packages, found once: a process goes on with the code that it began with."""
    return code_sha256(*modules), package_versions(*modules)


@dataclass(frozen=True, eq=False)
class Artifact:
    """Files that are computed together.

    name : unique within its output, such as ``mfcc/gain``
    key : Key
    places : where its files lie, relative to the repository: files, or folders of which every file belongs to it
    by_rows : whether its rows depend on one clip each, so that they serve for a corpus with other clips as well
    """

    name: str
    key: Key
    places: tuple[Path, ...]
    by_rows: bool = False

    def files(self, root: Path = Path()) -> list[Path]:
        """Its files that lie in their places under `root`, relative to it."""
        return [file.relative_to(root) for place in self.places for file in _files(root / place)]

    def owns(self, path: str) -> bool:
        """Whether a file of this path belongs to it."""
        return any(Path(path) == place or place in Path(path).parents for place in self.places)


class Output:
    """The artifacts of one stage.

    Parameters
    ----------
    folder : pathlib.Path, which holds the index and, as `also`, nothing but what is wanted
    wanted : artifacts, in the order of the index
    also : further folders with files of these artifacts
    files : further files in these folders that are none of an artifact, which the stage writes anew
    """

    def __init__(
        self, folder: Path, wanted: Sequence[Artifact], *, also: Sequence[Path] = (), files: Sequence[Path] = ()
    ) -> None:
        self.folder, self.wanted = folder, list(wanted)
        self._folders, self._files = [folder, *also], set(files)
        self._index: dict[str, dict[str, Any]] = {}
        self.store = store()

    @property
    def reused(self) -> int:
        """How many of the wanted artifacts are here."""
        return len(self._index)

    def missing(self) -> list[Artifact]:
        """Tidy the folders, fill them from the store, and say which artifacts are to be computed."""
        adopt(self.folder, self.store)
        before = read_index(self.folder)
        self._index = {}
        for folder in self._folders:
            folder.mkdir(parents=True, exist_ok=True)
        missing = [artifact for artifact in self.wanted if not self._reuse(artifact, before.get(artifact.name))]
        self._remove_unwanted()
        self._write_index()
        return missing

    def take(self, artifact: Artifact) -> None:
        """Take an artifact out of the store, where :func:`making` has put it, in whatever process.

        Raises
        ------
        UserError
            If it is not there, or damaged.
        """
        if not self._reuse(artifact, None):
            raise UserError(f"{artifact.name} is no longer in {self.store.folder}; run again")
        self._write_index()

    def _reuse(self, artifact: Artifact, entry: Mapping[str, Any] | None) -> bool:
        self.store.touch(artifact.key.sha256)
        if entry and entry["key"] == artifact.key.sha256:
            damaged = [path for path, wanted in entry["files"].items() if not holds(path, wanted)]
            if not damaged and entry["files"] and all(map(artifact.owns, entry["files"])):
                self._enter(artifact, entry["files"])
                return True
            for path in filter(os.path.exists, damaged):
                print(f"{path} is damaged, its checksum does not hold; it is made again")
        manifest = self.store.manifest(artifact.key.sha256)
        if manifest and not all(map(artifact.owns, manifest.files)):  # an earlier version had other places for it
            self.store.remove(artifact.key.sha256)
        manifest = self.store.restore(artifact.key.sha256)
        if manifest is None:
            return False
        self._enter(artifact, manifest.files)
        return True

    def _enter(self, artifact: Artifact, files: Mapping[str, str]) -> None:
        key, rows = artifact.key, _rows(artifact)
        self._index[artifact.name] = {"key": key.sha256, "basis": key.basis, **rows, "files": dict(files)}

    def _write_index(self) -> None:
        order = [artifact.name for artifact in self.wanted if artifact.name in self._index]
        write_json(self.folder / INDEX, {"artifacts": {name: self._index[name] for name in order}})

    def _remove_unwanted(self) -> None:
        kept = {Path(path) for entry in self._index.values() for path in entry["files"]} | self._files
        kept.add(self.folder / INDEX)
        for folder in self._folders:
            remove_leftovers(folder)
            for path in sorted(folder.rglob("*"), reverse=True):
                if path.is_dir() and not path.is_symlink():
                    if not any(path.iterdir()):
                        path.rmdir()
                elif path not in kept:
                    path.unlink()


class Examined(Output):
    """An output under ``earshift accept``: a sample of it is computed again, and its files stay as they are.

    Parameters
    ----------
    folder, wanted : as for :class:`Output`
    sample : how many artifacts are computed again
    """

    def __init__(self, folder: Path, wanted: Sequence[Artifact], sample: int) -> None:
        super().__init__(folder, wanted)
        self._before, self._sample = read_index(folder), sample
        self._stale = [each for each in self.wanted if self._is_stale(each, self._before.get(each.name))]
        self._left: set[str] = set()

    def missing(self) -> list[Artifact]:
        """The sample."""
        stale, count = self._stale, min(self._sample, len(self._stale))
        chosen = [stale[i * len(stale) // count] for i in range(count)]
        self._left = {each.name for each in chosen}
        if not stale:
            print(f"{self.folder}: nothing to accept")
        return chosen

    def take(self, artifact: Artifact) -> None:
        """Compare an artifact of the sample with that of before; accept the rest after the last one.

        Raises
        ------
        UserError
            If the bytes differ.
        """
        made = self.store.manifest(artifact.key.sha256)
        if made is None or made.files != self._before[artifact.name]["files"]:
            raise UserError(
                f"{self.folder}: {artifact.name} comes out otherwise with today's code; `dvc repro` computes all anew"
            )
        self._left.discard(artifact.name)
        if not self._left:
            for each in self._stale:
                self.store.put(each.key.sha256, make_manifest(each, self._before[each.name]["files"]))
            count = min(self._sample, len(self._stale))
            print(f"{self.folder}: {count} computed again, the same bytes; {len(self._stale) - count} more accepted")

    def _is_stale(self, artifact: Artifact, entry: Mapping[str, Any] | None) -> bool:
        key = artifact.key
        if not entry or entry["basis"] != key.basis or entry["key"] == key.sha256 or key.sha256 in self.store:
            return False
        return all(holds(path, wanted) for path, wanted in entry["files"].items())


def store() -> Store:
    """The store of this repository."""
    return Store(paths.STORE)


def open_output(
    folder: Path, wanted: Sequence[Artifact], *, also: Sequence[Path] = (), files: Sequence[Path] = ()
) -> Output:
    """The output of a stage, with the parameters of :class:`Output`; under ``earshift accept``, it is only examined."""
    sample = os.environ.get(ACCEPT)
    return Output(folder, wanted, also=also, files=files) if sample is None else Examined(folder, wanted, int(sample))


@contextlib.contextmanager
def making(artifact: Artifact, into: Store | None = None) -> Iterator[Path]:
    """A folder that stands for the repository, in which the block writes the files of an artifact.

    They go into the store when the block ends well.
    """
    into = into or store()
    root = into.folder / f"work/{artifact.key.sha256}.{os.getpid()}"
    try:
        yield root
        files = {path.as_posix(): digest(root / path) for path in sorted(artifact.files(root))}
        if not files:
            raise RuntimeError(f"nothing was written of {artifact.name}")
        into.put(artifact.key.sha256, make_manifest(artifact, files), root=root)
    finally:
        shutil.rmtree(root, ignore_errors=True)


def make_manifest(artifact: Artifact, files: Mapping[str, str]) -> Manifest:
    """What the store writes down of an artifact with these files."""
    return Manifest(f"{artifact.key.kind}/{artifact.name}", files, **_rows(artifact))


def _rows(artifact: Artifact) -> dict[str, str]:
    key = artifact.key
    return {"family": key.family, "rows": str(key.contents["clips"])} if artifact.by_rows else {}


def file_hashes(files: Sequence[Path]) -> dict[str, Any]:
    """SHA-256 of every file by its path, as a key has it; None for one that is not here."""
    return {path.as_posix(): sha256 for path, sha256 in zip(files, hash_files(files), strict=True)}


def read_index(folder: Path) -> dict[str, dict[str, Any]]:
    """Entries of the index of an output by name of the artifact; empty where there is none.

    Each has the ``key``, its ``basis`` and ``files``: the SHA-256 of each by its path.
    """
    return entries(read_json(folder / INDEX))


def entries(index: Any) -> dict[str, dict[str, Any]]:
    """The entries of an index that was read, which may be anybody's: without what is none, or leaves the repository."""
    found = index.get("artifacts") if isinstance(index, dict) else None
    if not isinstance(found, dict):
        return {}
    return {name: entry for name, entry in found.items() if _is_entry(entry)}


def _is_entry(entry: Any) -> bool:
    if not isinstance(entry, dict) or not isinstance(entry.get("files"), dict):
        return False
    hashes = [entry.get("key"), entry.get("basis"), *entry["files"].values()]
    if not all(isinstance(each, str) and re.fullmatch("[0-9a-f]{64}", each) for each in hashes):
        return False
    names = [entry.get(each, "") for each in ("family", "rows")]  # of files in the store
    if not all(isinstance(each, str) and re.fullmatch("([0-9a-f]{64})?", each) for each in names):
        return False
    return not any(PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts for path in entry["files"])


def adopt(folder: Path, into: Store | None = None) -> int:
    """Put the whole artifacts of an output into the store, those that were pulled among them; gives how many."""
    into, adopted = into or store(), 0
    for name, entry in read_index(folder).items():
        files = entry["files"]
        if entry["key"] not in into and files and all(holds(path, wanted) for path, wanted in files.items()):
            into.put(
                entry["key"], Manifest(f"{folder.name}/{name}", files, entry.get("family", ""), entry.get("rows", ""))
            )
            adopted += 1
    return adopted


def holds(path: str, wanted: str) -> bool:
    """Whether a file is here and has this SHA-256."""
    return os.path.isfile(path) and digest(path) == wanted


def _files(place: Path) -> list[Path]:
    if place.is_dir():
        return sorted(path for path in place.rglob("*") if path.is_file() and not path.name.startswith("."))
    return [place] if place.is_file() else []


def _plain(value: Any) -> Any:
    """What JSON can hold of a value with dataclasses, tuples and sets in it."""
    if is_dataclass(value) and not isinstance(value, type):
        return _plain(asdict(value))
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, set | frozenset):
        return sorted(_plain(each) for each in value)
    if isinstance(value, Path):
        return value.as_posix()
    return value
