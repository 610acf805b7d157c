"""Weights in the file that the authors of a network publish, or in a file of the user's own with the same layout."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from earshift.encoders.weights.record import Arrays, Provenance, WeightsSource
from earshift.errors import UserError
from earshift.options import Options, Text
from earshift.storage import downloads, hashes


@dataclass(frozen=True)
class OwnWeights(Options):
    """Options of an encoder's weights: the path of a file to use in place of the official one, or null."""

    path: Text | None


@dataclass(frozen=True)
class Official(WeightsSource):
    """Where the weights of an encoder are published.

    remote : the file and where it can be had
    folder : in which it is kept once it is downloaded
    licence, description : one line each: what may be done with them, who made them
    convert : path of the file -> arrays by name
        Raises :class:`UserError`, naming the file, where it is not what the encoder expects.
    own : path of the user's own file
    option : name of the option that names such a file
    """

    remote: downloads.Remote
    folder: Path
    licence: str
    description: str
    convert: Callable[[Path], Arrays]
    own: str | None = None
    option: str = "encoders.NAME.weights.path"

    def path(self) -> Path:
        """The checked file, fetched if need be.

        Raises
        ------
        UserError
            If it cannot be had, or has another hash.
        """
        if self.own is None:
            otherwise = f"; a file of your own with that layout goes into {self.option}"
            return downloads.fetch(self.remote, self.folder, otherwise=otherwise)
        path = Path(self.own).expanduser()
        if not path.is_file():
            fix = f"correct it, or null for {self.remote.file}"
            raise UserError(f"{self.option} is {self.own!r}, which is no file; {fix}")
        return path

    def at_hand(self) -> bool:
        return self.own is None or Path(self.own).expanduser().is_file()

    def check(self) -> str:
        return str(self.path())

    def stand_in(self) -> str | None:
        if self.own is None and not downloads.allows_stand_ins():
            return None
        path = self.path()
        return None if self._is_official(path) else hashes.hash_files([path])[0]

    def arrays(self) -> tuple[Arrays, Provenance]:
        path = self.path()
        files = {path.name: hashes.hash_files([path])[0]}
        return self.convert(path), {"official": self._is_official(path), "files": files}

    def _is_official(self, path: Path) -> bool:
        return self.own is None and downloads.is_official(path, self.remote)
