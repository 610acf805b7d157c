"""Which addresses and options of a remote are accepted. No secret is: addresses are committed to git.

- :func:`normal`: an address as DVC takes it
- :func:`endpoint`, :func:`profile`, :func:`keyfile`: its options
- :func:`refuse_secret`, :func:`refuse_secrets_in`
"""

import re
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from earshift.errors import UserError

NAME = "shared"
KINDS = "a folder (absolute path), ssh://[user@]host[:port]/path, s3://bucket/prefix, or https://host/path to read only"
BELONGS = {
    "ssh": "a key file (KEYFILE=~/.ssh/id_ed25519) or ssh-agent; a password, if it must be, into .dvc/config.local, "
    f"which git ignores: `dvc remote modify --local {NAME} password ...`",
    "s3": "the environment (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY), or ~/.aws/credentials with PROFILE=name, or "
    ".dvc/config.local, which git ignores: "
    f"`dvc remote modify --local {NAME} access_key_id ...`, and the same with secret_access_key",
    "http": ".dvc/config.local, which git ignores: "
    f"`dvc remote modify --local {NAME} auth basic`, and the same with user and password",
}
BELONGS["https"] = BELONGS["http"]
_SECRET = ("password", "passphrase", "access_key_id", "secret_access_key", "session_token", "sse_customer_key")
_ACCESS_KEY = re.compile(r"\b(AKIA|ASIA)[A-Z0-9]{12,}\b")


def scheme(url: str) -> str:
    """The kind of an address: ssh, s3, http, https, another, or "" for a folder."""
    return url.partition("://")[0].lower() if "://" in url else ""


def normal(url: str) -> str:
    """An address as DVC takes it.

    Raises
    ------
    UserError
        If it is of no known kind, not whole, or holds a secret.
    """
    refuse_secret(url)
    bad = sorted({c for c in url if c in ",#\"'" or ord(c) < 32})
    if bad or url != url.strip():
        what = " and ".join(map(repr, bad)) or "spaces around it"
        raise UserError(f"URL {url!r} has {what}, which DVC's configuration cannot hold; use another name")
    kind = scheme(url)
    if kind in ("", "file"):
        return _folder(url.removeprefix("file://"))
    if kind not in ("ssh", "s3", "http", "https"):
        raise UserError(
            f"URL {url!r}: {kind}:// is none of {KINDS}. What else DVC knows is set up by `dvc remote add --default "
            f"{NAME} {url}` with its client installed; `make push` and `make pull` then use it"
        )
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise UserError(f"URL {url!r} is wrong: {error}") from error
    if not host or (kind == "ssh" and parts.path in ("", "/")):
        raise UserError(f"URL {url!r} names no {'folder on the server' if host else 'server or bucket'}; write {KINDS}")
    return kind + url[len(kind) :].rstrip("/")


def _folder(text: str) -> str:
    if re.match(r"[^/]+:", text):
        raise UserError(f"URL {text!r}: write an SSH server as ssh://user@host/path")
    folder = Path(text).expanduser()
    if not folder.is_absolute():
        raise UserError(f"URL {text!r}: write an absolute path, which holds for all, such as {folder.resolve()}")
    if folder.resolve().is_relative_to(Path.cwd().resolve()):
        raise UserError(f"{folder} lies within this repository; take a folder that others reach as well")
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder} is no folder; name one, or one that can be created")
    if not folder.exists() and not folder.parent.is_dir():
        raise UserError(f"{folder.parent} is not there: is it mounted? Else create it: mkdir -p {folder.parent}")
    return str(folder)


def endpoint(url: str) -> str:
    """The address of an S3-compatible store."""
    refuse_secret(url)
    if scheme(url) not in ("http", "https") or not urlsplit(url).hostname:
        raise UserError(f"ENDPOINT is {url!r}; it must be http://host[:port] or https://host[:port]")
    return url.rstrip("/")


def profile(name: str) -> str:
    """The name of a profile in AWS's own configuration files."""
    if _ACCESS_KEY.search(name):
        raise UserError(f"PROFILE is an access key; it must be the name of a profile. Keys belong into {BELONGS['s3']}")
    return name


def keyfile(name: str) -> str:
    """The path of a private SSH key."""
    path = Path(name).expanduser().absolute()
    try:
        with path.open("rb") as file:
            head = file.read(64)
    except (OSError, ValueError) as error:  # what was given is not shown: it may be the key itself
        raise UserError("KEYFILE is no file that can be read; it must be a path such as ~/.ssh/id_ed25519") from error
    if b"PRIVATE KEY" not in head:
        raise UserError(f"KEYFILE {path} is no private key; name the file of that")
    return str(path)


def refuse_secret(url: str) -> None:
    """Refuse an address that holds what must not be committed, without showing it again.

    Raises
    ------
    UserError
        Saying where it belongs.
    """
    kind, rest = scheme(url), url.partition("://")[2] or url
    login = rest.partition("/")[0].rpartition("@")[0]
    if ":" in login or (login and kind not in ("", "ssh")) or (kind and "?" in rest) or _ACCESS_KEY.search(url):
        raise UserError(
            "this address holds a password or key, and addresses are committed to git. It belongs into "
            f"{BELONGS.get(kind, BELONGS['ssh'])}"
        )


def refuse_secrets_in(sections: Mapping[str, Mapping[str, Any]], *, file: PathLike[str]) -> None:
    """Refuse secrets in a configuration that is committed.

    Parameters
    ----------
    sections : mapping of the name of a remote to its options
    file : path-like, where they come from

    Raises
    ------
    UserError
        Saying how to move the first one.
    """
    for name, options in sections.items():
        for option in filter(options.__contains__, _SECRET):
            raise UserError(
                f"{file} is committed to git and holds the {option} of the remote {name!r}: `dvc remote modify --unset "
                f"{name} {option}`, then `dvc remote modify --local {name} {option} ...`. If it was committed, it "
                "is known: change it"
            )
        refuse_secret(str(options.get("url", "")))
