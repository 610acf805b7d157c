"""Files from the internet or from a mirror, checked before anybody opens them.

Conventions
-----------
A file is known by its name and by hashes that are pinned in this repository. It is looked for in the mirror that
EARSHIFT_MIRROR names (a folder, or an address below which files lie by their names), among earlier downloads, and at
its official addresses. A download goes on where it broke off and takes its final name only when its hash is right.

EARSHIFT_UNPINNED=1 says that the mirror holds stand-ins on purpose: a file with another hash is then taken from there,
and a line says so. A file from an official address must always have the pinned hash.

Why not pooch: it begins a broken download again, and corpora and weights here are of hundreds of megabytes to several
gigabytes; it knows neither git's hashes nor several hashes of one file.

- :class:`Remote`: a file and where it can be had
- :func:`fetch`: the path of a checked copy
- :func:`is_official`: whether a copy is the pinned file or a stand-in
"""

import os
import re
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from earshift.errors import UserError
from earshift.protocols import StrPath
from earshift.storage.files import require_space
from earshift.storage.hashes import digest, hash_files

if TYPE_CHECKING:
    import requests

MIRROR = "EARSHIFT_MIRROR"
UNPINNED = "EARSHIFT_UNPINNED"

_TRIES, _TIMEOUT, _PIECE = 4, 30, 1 << 18  # per address; seconds without a byte; bytes
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Remote:
    """A file and where it can be had.

    file : str, its name, in a mirror too
    urls : tuple of str, official addresses in the order in which they are tried
    hashes : tuple of (algorithm, hexadecimal digest), see :func:`earshift.storage.hashes.digest`; all must hold
    size : int or None, bytes
    """

    file: str
    urls: tuple[str, ...]
    hashes: tuple[tuple[str, str], ...] = ()
    size: int | None = None

    @property
    def pinned(self) -> str:
        """The pinned hashes in words."""
        return ", ".join(f"{algorithm} {digest}" for algorithm, digest in self.hashes) or "no hash is pinned"


def fetch(remote: Remote, folder: StrPath, *, otherwise: str = "") -> Path:
    """Path of a checked copy: in a mirror folder where it is there, else in `folder`, downloaded if need be.

    Parameters
    ----------
    remote : Remote
    folder : path-like, for downloads
    otherwise : str, what else the user can do, for the message

    Raises
    ------
    UserError
        If a copy has another hash, or none can be had.
    """
    address, places = mirror(), _places(remote, folder)
    for path in places:
        if path.is_file():
            return _check_copy(path, remote)
    urls = [(url, False) for url in remote.urls]
    if isinstance(address, str):
        urls.insert(0, (f"{address.rstrip('/')}/{quote(remote.file)}", True))
    failures = []
    for url, mirrored in urls:
        reason = _download(url, remote, places[-1], mirrored)
        if reason is None:
            return places[-1]
        failures.append(f"{url}: {reason}")
    raise UserError(
        f"{remote.file} cannot be fetched ({'; '.join(failures)}); put it into {Path(folder)}, or set {MIRROR} to a "
        f"folder or address that has it ({remote.pinned}){otherwise}"
    )


def at_hand(remote: Remote, folder: StrPath) -> bool:
    """Whether :func:`fetch` needs no network."""
    return any(path.is_file() for path in _places(remote, folder))


def _places(remote: Remote, folder: StrPath) -> list[Path]:
    """Where a copy may lie, that of downloads last."""
    folders = [place for place in (mirror(), Path(folder)) if isinstance(place, Path)]
    return [place / remote.file for place in folders]


def is_official(path: StrPath, remote: Remote) -> bool:
    """Whether a copy has every pinned hash; True where none is pinned."""
    return not _differing(path, remote)


def mirror() -> Path | str | None:
    """The mirror: a Path for a folder, a str for an address, None where there is none.

    Raises
    ------
    UserError
        If the folder does not exist.
    """
    place = os.environ.get(MIRROR)
    if not place:
        return None
    if place.startswith(("http://", "https://")):
        return place
    folder = Path(place.removeprefix("file://")).expanduser()
    if not folder.is_dir():
        raise UserError(f"{MIRROR} is {place!r}, which is neither a folder nor an http address; correct or unset it")
    return folder


def allows_stand_ins() -> bool:
    """Whether the user takes stand-ins from the mirror on purpose."""
    return os.environ.get(UNPINNED) == "1"


def _differing(path: StrPath, remote: Remote) -> tuple[str, str, str | None] | None:
    """(algorithm, expected, found) of the first pinned hash that a file does not have, or None."""
    for algorithm, expected in remote.hashes:
        (found,) = hash_files([path], algorithm)
        if found != expected:
            return algorithm, expected, found
    return None


def _check_copy(path: Path, remote: Remote) -> Path:
    wrong = _differing(path, remote)
    if wrong is None:
        return path
    if allows_stand_ins():
        print(f"{path} is not the official file ({wrong[0]} {wrong[2]}); taken because {UNPINNED}=1", file=sys.stderr)
        return path
    cut = ""
    if remote.size is not None and path.stat().st_size < remote.size:
        cut = f" and {path.stat().st_size} of {remote.size} bytes: it was cut short"
    raise UserError(
        f"{path} has {wrong[0]} {wrong[2]}, expected {wrong[1]}{cut}; delete it and run again, or set {UNPINNED}=1 if "
        "it stands in for the official file on purpose"
    )


# ---------------------------------------------------------------------------------------------------------- downloading


def _download(url: str, remote: Remote, target: Path, mirrored: bool) -> str | None:
    """Bring `url` to `target`; why that was not possible, or None.

    Raises
    ------
    UserError
        If what came has another hash, or the disk has no room.
    """
    import requests
    from filelock import FileLock

    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f"{target.name}.part")
    with FileLock(target.with_name(f".{target.name}.lock")):
        if target.is_file():  # another process was quicker
            _check_copy(target, remote)
            return None
        reason = ""
        for attempt in range(_TRIES):
            if attempt:
                time.sleep(2 ** (attempt - 1))
            try:
                reported = _continue(url, part, target.name)
                break
            except requests.HTTPError as error:
                if error.response.status_code < 500:
                    return f"{error.response.status_code} {error.response.reason}"
                reason = f"{error.response.status_code} {error.response.reason}"
            except requests.RequestException as error:
                reason = _words(error)
                if isinstance(error, requests.ConnectionError) and not part.exists():
                    return reason  # there is no server: trying again would only make the user wait
        else:
            return f"{reason}; {_have(part)}"
        _check_download(url, part, remote, reported, mirrored)
        os.replace(part, target)
    return None


def _continue(url: str, part: Path, name: str) -> str | None:
    """Download what is missing of `part`; the SHA-256 that the server reports for the whole, or None.

    Raises
    ------
    requests.RequestException
        If the connection fails or breaks off; `part` keeps what came.
    """
    import requests
    from tqdm import tqdm

    have = part.stat().st_size if part.exists() else 0
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    with requests.get(url, headers=headers, stream=True, timeout=_TIMEOUT) as response:
        if response.status_code == 416:  # nothing is left, or what is there is of another file
            if int(response.headers.get("Content-Range", "*/-1").rpartition("/")[2]) == have:
                return _reported(response)
            part.unlink()
            return _continue(url, part, name)
        response.raise_for_status()
        if response.status_code != 206:
            have = 0
        length = response.headers.get("Content-Length")
        total = None if length is None else have + int(length)
        if total is not None:
            require_space(part.parent, total - have)
        response.raw.enforce_content_length = False  # keep the last bytes of a broken connection too; counted below
        bar = tqdm(
            total=total, initial=have, desc=name, unit="B", unit_scale=True, leave=False,
            disable=not sys.stderr.isatty(),
        )  # fmt: skip
        with open(part, "ab" if have else "wb") as file, bar:
            for piece in response.iter_content(_PIECE):
                file.write(piece)
                bar.update(len(piece))
        if total is not None and part.stat().st_size < total:
            raise requests.ConnectionError("the connection broke off")
        return _reported(response)


def _reported(response: "requests.Response") -> str | None:
    """SHA-256 of a large file as the model hub's first response states it, or None."""
    for each in (*response.history, response):
        etag = each.headers.get("X-Linked-Etag", "").strip('W/"')
        if _SHA256.fullmatch(etag):
            return etag
    return None


def _check_download(url: str, part: Path, remote: Remote, reported: str | None, mirrored: bool) -> None:
    known = remote.hashes + ((("sha256", reported),) if reported else ())
    for algorithm, expected in known:
        found = digest(part, algorithm)
        if found == expected:
            continue
        if mirrored and allows_stand_ins():
            print(f"{url} is not the official file ({algorithm} {found}); taken because {UNPINNED}=1", file=sys.stderr)
            return
        size = part.stat().st_size
        part.unlink()
        raise UserError(
            f"{url} gave {size} bytes with {algorithm} {found}, expected {expected}; they were thrown away. Run again; "
            f"if it persists, bring {remote.file} from elsewhere and name its folder in {MIRROR}"
        )


def _words(error: BaseException) -> str:
    """The innermost reason of a connection error, without addresses of objects."""
    while getattr(error, "reason", None) or (error.args and isinstance(error.args[0], Exception)):
        error = getattr(error, "reason", None) or error.args[0]
    text = str(error)
    return re.sub(r"^<[^>]*>: |^.*?\): ", "", text) or type(error).__name__


def _have(part: Path) -> str:
    return f"{part} keeps {part.stat().st_size} bytes, run again to go on" if part.exists() else "try again"
