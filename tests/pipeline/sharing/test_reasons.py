"""Exceptions of the clients, as they were seen, in words."""

import errno
import socket

import aiohttp
import asyncssh
import botocore.exceptions
import pytest

from earshift.pipeline.sharing.reasons import carries, reason


def client_error(code):
    return botocore.exceptions.ClientError({"Error": {"Code": code, "Message": "..."}}, "PutObject")


def caused(error, cause):
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "printed"),
    [
        (socket.gaierror(-2, "Name or service not known"), "no host of that name"),
        (ConnectionRefusedError(111, "Connect call failed"), "connection is refused"),
        (asyncssh.HostKeyNotVerifiable("Host key is not trusted"), "known_hosts"),
        (caused(PermissionError("denied"), asyncssh.PermissionDenied("denied")), "the login is refused"),
        (asyncssh.KeyImportError("Passphrase must be specified"), "ssh-agent"),
        (caused(ConnectionError(), asyncssh.ConnectionLost("Connection lost")), "dropped"),
        (PermissionError(errno.EACCES, "Permission denied"), "no permission"),
        (OSError(errno.ENOSPC, "No space left on device"), "disk is full"),
        (OSError(errno.EROFS, "Read-only file system"), "read-only"),
        (NotADirectoryError(errno.ENOTDIR, "Not a directory"), "a file is where a folder should be"),
        (TimeoutError(), "no reply"),
        (botocore.exceptions.NoCredentialsError(), "AWS_ACCESS_KEY_ID"),
        (botocore.exceptions.ProfileNotFound(profile="lab"), "no such profile"),
        (caused(FileNotFoundError("..."), client_error("NoSuchBucket")), "no such bucket"),
        (caused(PermissionError("..."), client_error("AccessDenied")), "may not do that"),
        (caused(PermissionError("..."), client_error("403")), "may not do that"),
        (caused(PermissionError("..."), client_error("InvalidAccessKeyId")), "does not know the access key"),
        (caused(PermissionError("..."), client_error("SignatureDoesNotMatch")), "secret key is wrong"),
        (
            caused(botocore.exceptions.EndpointConnectionError(endpoint_url="http://host"), socket.gaierror(-2, "...")),
            "no host of that name",
        ),
        (caused(FileNotFoundError("..."), aiohttp.ServerDisconnectedError()), "the connection broke"),
        (ZeroDivisionError("nobody\nthought of it"), "ZeroDivisionError: nobody thought of it"),
    ],
)
def test_reasons(error, printed):
    assert printed in reason(error) and "\n" not in reason(error)


def test_the_first_cause_counts_and_circles_end():
    error = caused(FileNotFoundError("..."), client_error("NoSuchBucket"))
    error.__cause__.__context__ = error
    assert "bucket" in reason(error)
    assert carries(error, "NoSuchBucket") and not carries(error, "AccessDenied")
