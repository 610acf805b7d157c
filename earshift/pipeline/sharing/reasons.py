"""Why a remote cannot be used, in words and with the fix, from whatever its client raised.

Clients are not imported for that: exceptions are known by the names of their classes and by the codes that they carry.
"""

import errno
from collections.abc import Iterator

from earshift.pipeline.sharing.address import BELONGS

NO_CLIENT = (
    "the client for this kind of remote is not installed; `make remote`, `make push` and `make pull` install it, by "
    "hand: `python -m pip install --no-deps -r remotes.lock`"
)
_DENIED = "these credentials may not do that; ask whoever runs the store for leave to read and write"
_FORBIDDEN = "no permission; change the owner or mode of the folder, or ask whoever runs the server"
_SILENT = "there is no reply; check the address, and that its network can be reached"
_CERTIFICATE = "its certificate is not trusted here; ask whoever runs it"
_IN_THE_WAY = "a file is where a folder should be"

_REASONS = {
    "RemoteMissingDepsError": NO_CLIENT,
    "gaierror": "no host of that name is known; check how it is spelled, and that its network can be reached",
    "ConnectionRefusedError": "the connection is refused; check host and port, and that the server runs",
    "HostKeyNotVerifiable": "the server's host key is not in ~/.ssh/known_hosts, or another one is; log in once by "
    "`ssh`, compare the fingerprint that it shows with the server's own, and say yes",
    "asyncssh.PermissionDenied": "the login is refused; name the right user in the URL and the right key "
    "(KEYFILE=...), or load it into ssh-agent: what `ssh` accepts works here",
    "KeyImportError": "the key cannot be read: it is damaged, or needs its passphrase; load it into ssh-agent",
    "KeyEncryptionError": "the passphrase of the key is wrong; load the key into ssh-agent",
    "asyncssh.DisconnectError": "the server dropped the connection",
    "NoCredentialsError": f"no credentials are found; they belong into {BELONGS['s3']}",
    "PartialCredentialsError": f"the credentials are not whole; they belong into {BELONGS['s3']}",
    "ProfileNotFound": "there is no such profile on this machine; `aws configure --profile NAME` or ~/.aws/credentials",
    "NoSuchBucket": "there is no such bucket; create it, or correct the name",
    "InvalidAccessKeyId": f"the store does not know the access key; the right one belongs into {BELONGS['s3']}",
    "SignatureDoesNotMatch": f"the secret key is wrong; the right one belongs into {BELONGS['s3']}",
    "ExpiredToken": "the session has expired; get new credentials",
    "AccessDenied": _DENIED,
    "401": "the server asks for a password; it belongs into " + BELONGS["http"],
    "403": _DENIED,
    "404": "nothing is at that address",
    "SSLError": _CERTIFICATE,
    "ClientConnectorCertificateError": _CERTIFICATE,
    "ConnectTimeoutError": _SILENT,
    "TimeoutError": _SILENT,
    "FSTimeoutError": _SILENT,
    "ENOSPC": "its disk is full; free some space there",
    "EDQUOT": "its disk quota is used up; free some space there",
    "EROFS": "it is read-only",
    "SFTPPermissionDenied": _FORBIDDEN,
    "PermissionError": _FORBIDDEN,
    "NotADirectoryError": _IN_THE_WAY,
    "FileExistsError": _IN_THE_WAY,
    "EndpointConnectionError": "the endpoint cannot be reached",
    "ClientConnectionError": "the connection broke",
    "ConnectionError": "the connection broke",
    "FileNotFoundError": "there is no such folder, and none can be made",
}

_LOST = {"ConnectionError", "ClientConnectionError", "EndpointConnectionError", "asyncssh.DisconnectError", "gaierror",
         "TimeoutError", "ConnectTimeoutError", "FSTimeoutError"}  # fmt: skip


def reason(error: BaseException) -> str:
    """Why, in one line.

    Parameters
    ----------
    error : BaseException
    """
    for name in reversed(list(_marks(error))):  # what came first knows best
        if name in _REASONS:
            return _REASONS[name]
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"


def lost_connection(error: BaseException) -> bool:
    """Whether there is no server, or not any more, so that nothing else will get through either."""
    return any(mark in _LOST for mark in _marks(error))


def carries(error: BaseException, mark: str) -> bool:
    """Whether an exception, or one that it came from, is of the class `mark` or carries the code `mark`."""
    return mark in _marks(error)


def _marks(error: BaseException) -> Iterator[str]:
    seen: list[BaseException] = []
    following: BaseException | None = error
    while following is not None and following not in seen:
        error = following
        seen.append(error)
        for cls in reversed(type(error).__mro__):
            yield from (cls.__name__, f"{cls.__module__.partition('.')[0]}.{cls.__name__}")
        if isinstance(error, OSError) and error.errno is not None and error.errno in errno.errorcode:
            yield errno.errorcode[error.errno]
        status = getattr(error, "status", None)
        if isinstance(status, int):
            yield str(status)
        response = getattr(error, "response", None)
        if isinstance(response, dict):
            yield str(response.get("Error", {}).get("Code"))
        following = error.__cause__ or error.__context__
