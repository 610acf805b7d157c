"""Weights in the file that the authors of a network publish, or in a file of the user's own with the same layout."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from earshift.errors import UserError
from earshift.options import Options, Text
from earshift.pipeline import paths
from earshift.storage import downloads as fetch
from earshift.storage import hashes


@dataclass(frozen=True)
class OwnWeights(Options):
    """Options of an encoder's weights: the path of a file to use in place of the official one, or null."""

    path: Text | None


@dataclass(frozen=True)
class Official:
    """Where the weights of an encoder are published.

    file : str, name of the file, in a mirror too
    urls : tuple of str, its addresses in the order in which they are tried
    hashes : tuple of (algorithm, hexadecimal digest), see :func:`earshift.storage.hashes.digest`
    licence, source : str, one line each: what may be done with them, who made them
    convert : callable, pathlib.Path of the file -> arrays {name: np.ndarray}
        Raises :class:`UserError`, naming the file, where it is not what the encoder expects.
    size : int or None, bytes
    own : str or None, path of the user's own file
    option : str, name of the option that names such a file
    """

    file: str
    urls: tuple
    hashes: tuple
    licence: str
    source: str
    convert: Callable
    size: int | None = None
    own: str | None = None
    option: str = "encoders.NAME.weights.path"

    @property
    def remote(self):
        """The file as :mod:`earshift.storage.downloads` knows it."""
        return fetch.Remote(self.file, self.urls, self.hashes, self.size)

    def path(self):
        """The checked file, fetched if need be.

        Raises
        ------
        UserError
            If it cannot be had, or has another hash.
        """
        if self.own is None:
            otherwise = f"; a file of your own with that layout goes into {self.option}"
            return fetch.fetched(self.remote, paths.DOWNLOADS, otherwise=otherwise)
        path = Path(self.own).expanduser()
        if not path.is_file():
            raise UserError(f"{self.option} is {self.own!r}, which is no file; correct it, or null for {self.file}")
        return path

    def at_hand(self):
        """Whether what :meth:`stand_in` tells can be told without fetching anything or failing."""
        return self.own is None or Path(self.own).expanduser().is_file()

    def check(self):
        """What is at hand, in words; fetched if need be. Raises as :meth:`path`."""
        return str(self.path())

    def stand_in(self):
        """SHA-256 of the file that is used in place of the official one, None where that one is."""
        if self.own is None and not fetch.unpinned():
            return None
        path = self.path()
        if self.own is None and fetch.official(path, self.remote):
            return None
        return hashes.remembered_sha256([path])[0]

    def arrays(self):
        """The weights, and what the record says about them.

        Returns
        -------
        dict of str to np.ndarray, dict

        Raises
        ------
        UserError
            If the file cannot be had, has another hash, or is not what the encoder expects.
        """
        path = self.path()
        record = {
            "official": self.own is None and fetch.official(path, self.remote),
            "files": {path.name: hashes.remembered_sha256([path])[0]},
        }
        return self.convert(path), record
