"""Which remote is the shared one: DVC's configuration.

Conventions
-----------
Its address goes into .dvc/config, which is committed; what holds on one machine only (the file of a key, the name of a
profile) into .dvc/config.local, which git ignores. Nothing is written before the remote was checked.

- :func:`set_remote`: sets up and checks
- :func:`show_remote`: checks the one that is set
- :func:`shared`: that one
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from earshift.errors import UserError
from earshift.pipeline import paths
from earshift.pipeline.sharing import address
from earshift.pipeline.sharing.address import KINDS, NAME
from earshift.pipeline.sharing.reach import Shared, reach
from earshift.storage.files import replacing

_SECTION = f'remote "{NAME}"'


def set_remote(
    url: str | None = None, *, endpoint: str | None = None, profile: str | None = None, keyfile: str | None = None
) -> None:
    """Make a remote the shared one, or change options of the one that is set.

    Parameters
    ----------
    url : str or None, to keep the one that is set
    endpoint : str or None, address of an S3-compatible store
    profile : str or None, name of a profile of AWS's own configuration files on this machine
    keyfile : str or None, private SSH key on this machine

    Raises
    ------
    UserError
        If anything is wrong or secret, or the remote cannot be reached, written and read back. The configuration is
        then as it was.
    """
    committed, local = _read(paths.DVC_CONFIG), _read(paths.DVC_CONFIG_LOCAL)
    ours, here = dict(committed.get(_SECTION, {})), dict(local.get(_SECTION, {}))
    _refuse_secrets()
    if url is None and not ours:
        raise UserError(_none_set())
    if url is not None:
        url = address.normal(url)
        if address.scheme(url) != address.scheme(ours.get("url", "")):
            here = {}  # options of another kind of remote, which DVC would not accept
        ours = {"url": url}
    kind = address.scheme(ours["url"])
    for name, value, wanted in (("ENDPOINT", endpoint, "s3"), ("PROFILE", profile, "s3"), ("KEYFILE", keyfile, "ssh")):
        if value is not None and kind != wanted:
            raise UserError(f"{name} is for {wanted}:// remotes, and {ours['url']} is none")
    if endpoint is not None:
        ours["endpointurl"] = address.endpoint(endpoint)
    if profile is not None:
        here["profile"] = address.profile(profile)
    if keyfile is not None:
        here["keyfile"] = address.keyfile(keyfile)

    ours["verify"] = "true"  # others write to a remote, and DVC checks no hashes by default
    remote = reach(NAME, {**ours, **here})
    note = remote.check()
    _write(paths.DVC_CONFIG_LOCAL, local, {_SECTION: here})
    _write(paths.DVC_CONFIG, committed, {"core": {**committed.get("core", {}), "remote": NAME}, _SECTION: ours})
    done = "written, read back and compared" if remote.writable else "it replies, and is only read"
    print(f"{ours['url']} is the shared remote: {done}{note and '; ' + note}")
    if url is not None and remote.writable:
        print(f"To share it: git commit -m 'Shared remote' {paths.DVC_CONFIG}; make push")


def show_remote() -> None:
    """Print which remote is set and what can be done with it.

    Raises
    ------
    UserError
        If none is set, or it cannot be reached or read.
    """
    remote = shared()
    filled = remote.check_reading()
    print(f"{remote.url} is the shared remote; {'it can be read' if filled else 'nothing is there yet'}")
    if not remote.writable:
        print("it is only read: `make pull` works, `make push` does not")
        return
    try:
        print(remote.check_writing() or "it can be written: `make push` and `make pull` work")
    except UserError as error:
        print(f"it cannot be written: {error}\n`make pull` works, `make push` does not")


def shared() -> Shared:
    """The remote that DVC uses by default.

    Returns
    -------
    earshift.pipeline.sharing.reach.Shared

    Raises
    ------
    UserError
        If none is set, a secret lies in the committed configuration, or its client is not installed.
    """
    from dvc.config import Config, ConfigError

    _refuse_secrets()
    try:
        config = Config(str(paths.DVC_CONFIG.parent))
    except ConfigError as error:
        raise UserError(f"DVC's configuration is wrong: {' '.join(str(error).split())}; see .dvc/config*") from error
    name = config.get("core", {}).get("remote", NAME)
    if name not in config.get("remote", {}):
        raise UserError(_none_set())
    return reach(name, config["remote"][name])


def _none_set() -> str:
    return f"no shared remote is set; `make remote URL=...` sets one: {KINDS}"


def _refuse_secrets() -> None:
    config = _read(paths.DVC_CONFIG)
    remotes = {name.removeprefix('remote "').rstrip('"'): config[name] for name in config.sections}
    address.refuse_secrets_in(remotes, file=paths.DVC_CONFIG)


def _read(path: Path) -> Any:
    """A configuration file as it stands, with its comments, which DVC's own writer drops."""
    from configobj import ConfigObj, ConfigObjError

    try:
        return ConfigObj(str(path), encoding="utf-8", list_values=False, interpolation=False, indent_type="    ")
    except (ConfigObjError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read: {error}; correct it by hand") from error


def _write(path: Path, config: Any, sections: Mapping[str, Mapping[str, str]]) -> None:
    """Give sections these options and no others; a section without options goes."""
    before = config.dict()
    for section, options in sections.items():
        config.setdefault(section, {}).update(options)
        for gone in set(config[section]) - set(options):
            del config[section][gone]
        if not options:
            del config[section]
    if config.dict() != before:
        with replacing(path) as temporary, open(temporary, "wb") as file:
            config.write(file)
