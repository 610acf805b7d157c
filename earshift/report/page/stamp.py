"""report/index.html: the page with the state of the repository stamped in.

``python -m earshift.report.page.stamp``

Conventions
-----------
report/page.html is an output of the pipeline and follows from results alone; here the places that it marks
(``<!--stamp:NAME-->...<!--/stamp:NAME-->``) get what no result knows: the commit, whether tracked files were changed
since, the DVC experiment, and the commands that make it all again. What the pipeline itself writes (metrics, dvc.lock)
does not count as a change. Nothing is written where nothing would change. It runs with every ``dvc repro``, so it
imports next to nothing.
"""

import html
import os
import subprocess
from dataclasses import dataclass

from earshift.errors import UserError
from earshift.pipeline import paths
from earshift.pipeline.command import command
from earshift.report.page import commit as origin

_WRITTEN = (paths.LOCK, paths.METRICS, paths.PLOTS, paths.PAGE.parent)  # by the pipeline
_NAMED = 4  # changed files that are named


@dataclass(frozen=True)
class State:
    """What the repository says.

    commit : str, its hash in full, or "" outside of git
    address : str, where a browser shows it, or ""
    changed : tuple of str, tracked files with changes that are not committed
    experiment : str, DVC's name of it, or ""
    """

    commit: str = ""
    address: str = ""
    changed: tuple = ()
    experiment: str = ""


def state():
    """:class:`State` of the repository in the working directory."""
    commit = origin.commit()
    changed = _changed() if commit else ()
    return State(commit, origin.address(commit), changed, os.environ.get("DVC_EXP_NAME", ""))


def stamped(page, of):
    """The page with a state in its marked places.

    Parameters
    ----------
    page : str, HTML
    of : State

    Returns
    -------
    str
    """
    for name, text in (("line", _line(of)), ("footer", _line(of)), ("provenance", _provenance(of)),
                       ("commands", _commands(of))):  # fmt: skip
        before, opening, rest = page.partition(f"<!--stamp:{name}-->")
        _, closing, after = rest.partition(f"<!--/stamp:{name}-->")
        page = f"{before}{opening}{text}{closing}{after}" if opening and closing else page
    return page


def _line(of):
    """What was run, in a line."""
    if not of.commit:
        return f"earshift report{_experiment(of)}; not in a git repository, so without a commit."
    changed = ", with changes that are not committed" if of.changed else ""
    return f"earshift report of commit {_link(of, of.commit[:10])}{_experiment(of)}{changed}."


def _experiment(of):
    return f", DVC experiment <strong>{html.escape(of.experiment)}</strong>" if of.experiment else ""


def _link(of, text):
    code = f"<code>{html.escape(text)}</code>"
    return f'<a href="{html.escape(of.address)}">{code}</a>' if of.address else code


def _provenance(of):
    lines = [("commit", _link(of, of.commit) if of.commit else "none: this is no git repository")]
    if of.experiment:
        lines.append(("DVC experiment", html.escape(of.experiment)))
    if of.commit:
        lines.append(("changes that are not committed", _named(of.changed)))
    return f'<dl class="facts">{"".join(f"<dt>{name}</dt><dd>{text}</dd>" for name, text in lines)}</dl>'


def _named(changed):
    more = len(changed) - _NAMED
    shown = ", ".join(f"<code>{html.escape(path)}</code>" for path in changed[:_NAMED])
    return f"{shown} and {more} more" if more > 0 else shown or "none"


def _commands(of):
    """The commands that make it all again."""
    repository = of.address.rpartition("/commit/")[0]
    lines = [f"git clone {repository} earshift && cd earshift"] if repository else []
    lines += origin.commands(of.commit, of.experiment)
    but = ", but for the changes that are not committed" if of.changed and not of.experiment else ""
    return (
        f'<p>In a clone of the repository{but}:</p>\n<div class="scroll" role="region" tabindex="0" '
        f'aria-label="Commands"><pre><code>{html.escape(chr(10).join(lines))}</code></pre></div>'
    )


def _changed():
    """Tracked files that differ from the commit, except those that the pipeline writes."""
    run = subprocess.run(["git", "status", "--porcelain", "--untracked-files=no"], capture_output=True, text=True)
    names = (line[3:].rpartition(" -> ")[2].strip('"') for line in run.stdout.splitlines())
    return tuple(name for name in names if not _is_written(name))


def _is_written(path):
    return any(path == each.as_posix() or path.startswith(f"{each.as_posix()}/") for each in _WRITTEN)


def _write(text):
    """Write report/index.html whole or not at all; :mod:`earshift.storage` would take longer to import than all this."""
    temporary = paths.INDEX.with_name(f".{paths.INDEX.name}.{os.getpid()}.tmp")
    try:
        temporary.write_text(text, encoding="utf-8", newline="\n")
        os.replace(temporary, paths.INDEX)
    except OSError as error:
        raise UserError(f"cannot write {paths.INDEX}: {error.strerror}; free or permit it and run again") from error
    finally:
        temporary.unlink(missing_ok=True)


@command
def main():
    """Write report/index.html where it would change."""
    try:
        page = paths.PAGE.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise UserError(f"{paths.PAGE} is missing; `dvc repro report` makes it, `dvc pull` fetches it") from error
    text = stamped(page, state())
    if not paths.INDEX.exists() or paths.INDEX.read_text(encoding="utf-8") != text:
        _write(text)


if __name__ == "__main__":
    main()
