"""A remote as DVC reaches it, and what can be done there.

DVC accepts any host key of an SSH server, so that is compared with known_hosts first, here.
"""

import contextlib
import os
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from earshift.errors import UserError
from earshift.pipeline.sharing.address import scheme
from earshift.pipeline.sharing.reasons import NO_CLIENT, carries, reason

_SECONDS = 20  # to wait for a reply


@dataclass(frozen=True)
class Shared:
    """A remote, and the file system by which DVC reaches it.

    name : str, of the remote in DVC's configuration
    url : str
    files : dvc_objects.fs.base.FileSystem
    path : str, its root there
    verified : bool, whether DVC checks the hash of each object that it downloads
    """

    name: str
    url: str
    files: Any
    path: str
    verified: bool = False

    @property
    def writable(self) -> bool:
        """Whether remotes of its kind are written at all."""
        return scheme(self.url) not in ("http", "https")

    def place(self, *parts: str) -> str:
        """Path of an object below the root."""
        return str(self.files.join(self.path, *parts))

    @contextlib.contextmanager
    def explained(self, then: str = "") -> Iterator[None]:
        """Turn whatever a client raises into a :class:`UserError` that says why, and `then` what to do."""
        try:
            yield
        except UserError:
            raise
        except Exception as error:
            raise UserError(f"{self.url}: {reason(error)}{then}") from error

    def check_reading(self) -> bool:
        """See that the remote can be listed.

        Returns
        -------
        bool
            Whether anything is there.

        Raises
        ------
        UserError
            If it cannot be reached or read.
        """
        self._check_host_key()
        with self.explained():
            try:
                return bool(self.files.ls(self.path) if self.writable else self.files.info(self.path))
            except FileNotFoundError as error:
                if any(carries(error, mark) for mark in ("NoSuchBucket", "ClientConnectionError", "401", "403")):
                    raise
                return not self.writable  # a web server need not show a folder to have what is in it

    def check(self) -> str:
        """See that the remote can be used as its kind is: written, where that is not only read.

        Returns
        -------
        str
            A note as of :meth:`check_writing`.
        """
        if self.writable:
            return self.check_writing()
        self.check_reading()
        return ""

    def check_writing(self) -> str:
        """Put an object there, read it back, delete it.

        Returns
        -------
        str
            A note on what is not as it should be but does no harm, or "".

        Raises
        ------
        UserError
            If it cannot be written, or is read back as something else.
        """
        self._check_host_key()
        content = secrets.token_bytes(1024)
        probe = self.place(f".earshift-{secrets.token_hex(8)}")
        with self.explained():
            self.files.makedirs(self.path)
            self.files.pipe_file(probe, content)
            found = self.files.cat_file(probe)
        if found != content:
            raise UserError(f"{self.url}: what is written there is read back as something else; take another place")
        try:
            self.files.rm_file(probe)
        except Exception as error:  # it may be forbidden there, and nothing needs it
            return f"objects cannot be deleted there ({reason(error)}); {probe} is left"
        return ""

    def _check_host_key(self) -> None:
        if self.files.protocol != "ssh":
            return
        import asyncio

        import asyncssh

        known = self.files.fs_args
        options = {key: known[key] for key in ("username", "port") if key in known}

        async def greet() -> None:
            # As far as the login: who is refused that has seen the right key
            with contextlib.suppress(asyncssh.PermissionDenied):
                async with asyncssh.connect(
                    known["host"], **options, preferred_auth=["none"], connect_timeout=_SECONDS, login_timeout=_SECONDS
                ):
                    pass

        with self.explained():
            asyncio.run(greet())


def reach(name: str, options: Mapping[str, str]) -> Shared:
    """A remote by its name and the options that DVC's configuration has for it.

    Raises
    ------
    UserError
        If its client is not installed, or an option is wrong.
    """
    from dvc.config import ConfigError
    from dvc.fs import get_cloud_fs
    from dvc_objects.fs.errors import RemoteMissingDepsError

    url, settings = options["url"], dict[str, Any](options)
    if scheme(url) == "ssh":
        settings.setdefault("timeout", _SECONDS)
    if scheme(url) == "s3":
        settings.setdefault("connect_timeout", _SECONDS)
        os.environ.setdefault("AWS_MAX_ATTEMPTS", "2")  # else one asks for minutes who is not there
    try:
        kind, config, path = get_cloud_fs({"remote": {name: settings}, "core": {}}, name=name)
        return Shared(name, url, kind(**config), path, verified=bool(config.get("verify")))
    except (RemoteMissingDepsError, ImportError) as error:
        raise UserError(f"{url}: {NO_CLIENT}") from error
    except ConfigError as error:
        raise UserError(f"{url}: {' '.join(str(error).split())}; see .dvc/config and .dvc/config.local") from error
