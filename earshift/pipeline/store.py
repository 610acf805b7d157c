"""The store: every finished artifact under its key, in a folder that neither git nor DVC looks at.

Conventions
-----------
``$DVC_ROOT/.earshift/objects/KK/KEY/`` holds the files of one artifact, numbered, and ``manifest.json``, which says
where each belongs and its SHA-256. A file is a hard link to the one that a stage wrote, or a copy where links cannot
be had: outputs are replaced and never written in place. A folder gets its name when it is whole, so a kill leaves
nothing half done. Whatever is read back is checked against its hash; an artifact that is damaged is removed.
"""

import contextlib
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from earshift.errors import UserError, write_failure
from earshift.storage.files import read_json, replacing, write_json
from earshift.storage.hashes import digest

_MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Manifest:
    """What an artifact consists of.

    name : of the artifact, such as ``embed/mfcc/gain/-10``
    files : SHA-256 of every file, by its path relative to the repository
    family : hash of all that determines it but the clips, "" where rows of it are of no use for other clips
    rows : hash of the list of its clips, "" as above
    """

    name: str
    files: Mapping[str, str]
    family: str = ""
    rows: str = ""


class Store:
    """Finished artifacts by key.

    Parameters
    ----------
    folder : pathlib.Path, made when the first artifact is put there
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __contains__(self, key: str) -> bool:
        return self.manifest(key) is not None

    def manifest(self, key: str) -> Manifest | None:
        """What the artifact with this key consists of; None where it is not here."""
        found = read_json(self._place(key) / _MANIFEST)
        try:
            manifest = Manifest(**found) if found else None
        except TypeError:  # written by another version
            return None
        return manifest if manifest and isinstance(manifest.files, dict) else None

    def put(self, key: str, manifest: Manifest, *, root: Path = Path()) -> None:
        """Keep the files of an artifact, which lie under `root`; nothing happens where it is here already.

        Raises
        ------
        UserError
            If the folder cannot be written.
        """
        if key in self:
            return
        place = self._place(key)
        part = place.with_name(f".{key}.{os.getpid()}.tmp")
        try:
            part.mkdir(parents=True, exist_ok=True)
            for number, path in enumerate(manifest.files):
                link_or_copy(root / path, part / str(number))
            write_json(part / _MANIFEST, asdict(manifest))
            if manifest.family:  # first, for what is here is not put again
                member = self.folder / "families" / manifest.family / key
                member.parent.mkdir(parents=True, exist_ok=True)
                member.touch()
            try:
                os.replace(part, place)
            except OSError:
                if key in self:  # another process was quicker
                    return
                self.remove(key)  # something lies there that is not whole
                os.replace(part, place)
        except OSError as error:
            raise UserError(f"cannot write {self.folder}: {write_failure(error) or error}") from error
        finally:
            shutil.rmtree(part, ignore_errors=True)

    def check(self, key: str) -> Manifest | None:
        """What an artifact that is here and whole consists of; None where it is not. A damaged one is removed."""
        manifest = self.manifest(key)
        for path, wanted in manifest.files.items() if manifest else ():
            stored = self.file(key, path)
            if stored is None or not stored.is_file() or digest(stored) != wanted:
                print(f"{stored} is damaged, its checksum does not hold; it is made again")
                self.remove(key)
                return None
        return manifest

    def restore(self, key: str, *, root: Path = Path()) -> Manifest | None:
        """Put the files of an artifact in their places under `root`; None where it is not here, or is damaged."""
        manifest = self.check(key)
        for number, path in enumerate(manifest.files if manifest else ()):
            with replacing(root / path) as temporary:
                link_or_copy(self._place(key) / str(number), temporary)
        return manifest

    def file(self, key: str, path: str) -> Path | None:
        """The file of an artifact that belongs at `path`; None where there is none."""
        manifest = self.manifest(key)
        if manifest is None or path not in manifest.files:
            return None
        return self._place(key) / str(list(manifest.files).index(path))

    def relatives(self, family: str) -> Iterator[tuple[str, Manifest]]:
        """Artifacts of a family with their keys."""
        for path in sorted((self.folder / "families" / family).glob("*")):
            manifest = self.manifest(path.name)
            if manifest is not None:
                yield path.name, manifest

    def remember_rows(self, rows: str, hashes: Sequence[str]) -> None:
        """Keep the hashes of the clips whose list has the hash `rows`."""
        path = self.folder / "rows" / rows
        if not path.is_file():
            with replacing(path) as temporary:
                temporary.write_text("\n".join(hashes), encoding="ascii")

    def rows(self, rows: str) -> list[str] | None:
        """Hashes of the clips whose list has the hash `rows`; None where they are not known."""
        path = self.folder / "rows" / rows
        return path.read_text(encoding="ascii").split("\n") if path.is_file() else None

    def remove(self, key: str) -> None:
        """Remove an artifact, as a whole even where this is killed."""
        place = self._place(key)
        gone = place.with_name(f".{key}.gone.{os.getpid()}.tmp")
        with contextlib.suppress(OSError):  # it is not here
            os.replace(place, gone)
        shutil.rmtree(gone, ignore_errors=True)

    def keys(self) -> Iterator[str]:
        """Keys of all whole artifacts, in order."""
        for path in sorted(self.folder.glob("objects/??/*")):
            if not path.name.startswith(".") and path.name in self:
                yield path.name

    def touch(self, key: str) -> None:
        """Note that an artifact is in use now."""
        with contextlib.suppress(OSError):  # a store that is only read needs no notes
            os.utime(self._place(key) / _MANIFEST)

    def last_used(self, key: str) -> float:
        """When an artifact was put here, or found to be in use, in seconds since the epoch."""
        return (self._place(key) / _MANIFEST).stat().st_mtime

    def remove_unreferenced(self) -> None:
        """Remove what is noted of artifacts that are no longer here."""
        rows = set()
        for family in self.folder.glob("families/*"):
            for member in family.iterdir():
                manifest = self.manifest(member.name)
                if manifest is None:
                    member.unlink(missing_ok=True)
                else:
                    rows.add(manifest.rows)
            with contextlib.suppress(OSError):  # not empty
                family.rmdir()
        for path in self.folder.glob("rows/*"):
            if path.name not in rows:
                path.unlink(missing_ok=True)

    def remove_leftovers(self) -> None:
        """Remove what killed processes left."""
        import psutil

        left = [*self.folder.glob("objects/??/.*.tmp"), *self.folder.glob("work/*.*")]
        for path in left:
            process = path.name.removesuffix(".tmp").rpartition(".")[2]
            if not (process.isdecimal() and psutil.pid_exists(int(process))):
                shutil.rmtree(path, ignore_errors=True)

    def _place(self, key: str) -> Path:
        return self.folder / "objects" / key[:2] / key


def link_or_copy(source: Path, target: Path) -> None:
    """Make `target` the same file as `source`, or a copy of it where the file system has no links for it."""
    try:
        os.link(source.resolve(), target)  # of a symbolic link, which DVC may have made, the file
    except OSError as error:
        if not source.is_file():
            raise error
        target.unlink(missing_ok=True)
        shutil.copyfile(source, target)
