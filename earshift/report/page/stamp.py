"""report/index.html: the page with the state of the repository in it.

Conventions
-----------
report/page.html is an output of the pipeline and follows from results alone. Here the places that it marks
(``<!--stamp:NAME-->...<!--/stamp:NAME-->``) get what no result knows: the commit, whether tracked files were changed
since, the DVC experiment, and the commands that make it all again. Changes of generated files (metrics, dvc.lock) do
not count. Nothing is written where nothing would change. The stamp is set after every ``dvc repro``, so this module
imports next to nothing: no template engine, no :mod:`earshift.storage`.
"""

import os
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from html import escape
from pathlib import Path

from earshift.errors import UserError
from earshift.report.page import commit as git

_NAMED = 4  # changed files that are named


@dataclass(frozen=True)
class State:
    """The state of the repository.

    commit : str, its hash in full, or "" outside of git
    address : str, where a browser shows it, or ""
    changed : tuple of str, tracked files with changes that are not committed
    experiment : str, DVC's name of it, or ""
    """

    commit: str = ""
    address: str = ""
    changed: tuple[str, ...] = ()
    experiment: str = ""


def stamp_page(page: Path, index: Path, *, generated: Iterable[Path]) -> None:
    """Write `index`, the page with the state of the repository in the working directory, where it would change.

    Parameters
    ----------
    page, index : Path
    generated : files and folders that the pipeline writes

    Raises
    ------
    UserError
        If the page is missing, or `index` cannot be written.
    """
    try:
        text = page.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise UserError(f"{page} is missing; `dvc repro report` makes it, `dvc pull` fetches it") from error
    text = insert_state(text, read_state(generated))
    if not index.exists() or index.read_text(encoding="utf-8") != text:
        _write(index, text)


def read_state(generated: Iterable[Path] = ()) -> State:
    """The state of the repository in the working directory."""
    commit = git.commit()
    changed = tuple(_changed(list(generated))) if commit else ()
    return State(commit, git.address(commit), changed, os.environ.get("DVC_EXP_NAME", ""))


def insert_state(page: str, state: State) -> str:
    """The HTML of a page with a state in its marked places."""
    line = _line(state)
    for name, text in {"line": line, "footer": line, "provenance": _facts(state), "commands": _commands(state)}.items():
        before, opening, rest = page.partition(f"<!--stamp:{name}-->")
        _, closing, after = rest.partition(f"<!--/stamp:{name}-->")
        page = f"{before}{opening}{text}{closing}{after}" if opening and closing else page
    return page


def _line(state: State) -> str:
    experiment = f", DVC experiment <strong>{escape(state.experiment)}</strong>" if state.experiment else ""
    if not state.commit:
        return f"earshift report{experiment}; outside of a git repository, so without a commit."
    changed = ", with changes that are not committed" if state.changed else ""
    return f"earshift report of commit {_link(state, state.commit[:10])}{experiment}{changed}."


def _link(state: State, text: str) -> str:
    code = f"<code>{escape(text)}</code>"
    return f'<a href="{escape(state.address)}">{code}</a>' if state.address else code


def _facts(state: State) -> str:
    facts = {"commit": _link(state, state.commit) if state.commit else "none: this is not a git repository"}
    if state.experiment:
        facts["DVC experiment"] = escape(state.experiment)
    if state.commit:
        more = len(state.changed) - _NAMED
        named = ", ".join(f"<code>{escape(path)}</code>" for path in state.changed[:_NAMED])
        facts["changes that are not committed"] = f"{named} and {more} more" if more > 0 else named or "none"
    return f'<dl class="facts">{"".join(f"<dt>{name}</dt><dd>{text}</dd>" for name, text in facts.items())}</dl>'


def _commands(state: State) -> str:
    repository = state.address.rpartition("/commit/")[0]
    lines = [f"git clone {repository} earshift && cd earshift"] if repository else []
    lines += git.commands(state.commit, state.experiment)
    without = ", without the changes that are not committed" if state.changed and not state.experiment else ""
    return (
        f'<p>In a clone of the repository{without}:</p>\n<div class="scroll" role="region" tabindex="0" '
        f'aria-label="Commands"><pre><code>{escape(chr(10).join(lines))}</code></pre></div>'
    )


def _changed(generated: list[Path]) -> list[str]:
    """Tracked files that differ from the commit and are not generated."""
    run = subprocess.run(["git", "status", "--porcelain", "--untracked-files=no"], capture_output=True, text=True)
    names = (line[3:].rpartition(" -> ")[2].strip('"') for line in run.stdout.splitlines())
    return [name for name in names if not any(Path(name).is_relative_to(each) for each in generated)]


def _write(index: Path, text: str) -> None:
    """Write the file whole or not at all; importing :mod:`earshift.storage` would take longer than all of this."""
    temporary = index.with_name(f".{index.name}.{os.getpid()}.tmp")
    try:
        temporary.write_text(text, encoding="utf-8", newline="\n")
        os.replace(temporary, index)
    except OSError as error:
        raise UserError(f"cannot write {index}: {error.strerror}; make room or permit it, then run again") from error
    finally:
        temporary.unlink(missing_ok=True)
