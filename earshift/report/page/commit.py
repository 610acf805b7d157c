"""The commit that results belong to: its address, and the commands that make the results again.

Conventions
-----------
Asks git, and nothing else. "" stands for what is not known: no git, no commit yet, no remote that a browser can open.
"""

import re
import subprocess


def commit() -> str:
    """The checked-out commit."""
    return _git("rev-parse", "--verify", "HEAD")


def person() -> str:
    """The user's name, as git knows it."""
    return _git("config", "user.name")


def address(commit: str) -> str:
    """Where a browser shows a commit, by the address of its git remote, without user names and passwords."""
    url = _git("config", "--get", "remote.origin.url")
    match = re.fullmatch(r"(?:https?://|ssh://|git://)?(?:[^@/]+@)?([\w.-]+\.\w+)(?::\d+)?[:/](.+?)(?:\.git)?/?", url)
    return f"https://{match[1]}/{match[2]}/commit/{commit}" if match and commit else ""


def commands(commit: str, experiment: str = "") -> list[str]:
    """The commands that make the results again.

    Parameters
    ----------
    commit : str, of an experiment the one that it started from
    experiment : str, name of a DVC experiment, "" outside of one
    """
    lines = [f"git checkout {commit}"] if commit else []
    lines += [f"dvc exp apply {experiment}"] if experiment else []
    return [*lines, "make repro"]


def _git(*arguments: str) -> str:
    try:
        run = subprocess.run(["git", *arguments], capture_output=True, text=True)
    except FileNotFoundError:
        return ""
    return run.stdout.strip() if run.returncode == 0 else ""
