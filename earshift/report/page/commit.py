"""Where results come from, in words for people: the commit, its address, and how to have the results again.

Conventions
-----------
Asks git, and nothing else. "" stands for what is not known: no git, no commit yet, no remote that a browser can open.
"""

import re
import subprocess


def commit():
    """The checked-out commit."""
    return _git("rev-parse", "--verify", "HEAD")


def person():
    """Who works here, as git knows them."""
    return _git("config", "user.name")


def address(commit):
    """Where a browser shows a commit, by the address of the remote `origin`; without what could be a secret in it."""
    url = _git("config", "--get", "remote.origin.url")
    match = re.fullmatch(r"(?:https?://|ssh://|git://)?(?:[^@/]+@)?([\w.-]+\.\w+)(?::\d+)?[:/](.+?)(?:\.git)?/?", url)
    return f"https://{match[1]}/{match[2]}/commit/{commit}" if match and commit else ""


def commands(commit, experiment=""):
    """What to type to have the results again, a command each.

    Parameters
    ----------
    commit : str, of an experiment the one that it started from
    experiment : str, name of a DVC experiment, "" outside of one
    """
    lines = [f"git checkout {commit}"] if commit else []
    lines += [f"dvc exp apply {experiment}"] if experiment else []
    return [*lines, "make repro"]


def _git(*arguments):
    try:
        run = subprocess.run(["git", *arguments], capture_output=True, text=True)
    except FileNotFoundError:
        return ""
    return run.stdout.strip() if run.returncode == 0 else ""
