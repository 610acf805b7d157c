"""The command line: ``earshift COMMAND``, or ``python -m earshift COMMAND``. What DVC runs is in stages/.

Each command imports what it needs when it runs, so that ``earshift --help`` is quick.
"""

import re
import sys
from collections.abc import Callable
from functools import wraps
from typing import Any

import click

from earshift.pipeline import pinning  # noqa: F401
from earshift.pipeline.command import command

CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 120}


@click.group(context_settings=CONTEXT)
def main() -> None:
    """How far does an embedding move when the ear hardly notices?"""


def _command(name: str | None = None) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """A command of :func:`main` whose errors are one line."""

    def add(function: Callable[..., None]) -> Callable[..., None]:
        @wraps(function)
        def run(*arguments: Any, **options: Any) -> None:
            command(function)(*arguments, **options)

        return main.command(name, context_settings=CONTEXT)(run)

    return add


@_command()
@click.option("--all", "every", is_flag=True, help="Name every reason.")
def status(every: bool) -> None:
    """What is computed, stale or missing, and what the next `dvc repro` runs and why."""
    from earshift.pipeline import status as found

    found.show(every=every)


@_command()
def show() -> None:
    """Print the table of the last run again."""
    from earshift.pipeline import report_inputs
    from earshift.report import summary

    summary.show(report_inputs.results())


@_command()
@click.argument("name", default="")
def preset(name: str) -> None:
    """Lay presets/NAME.yaml over params.yaml; comments stay."""
    from earshift.pipeline.preset import lay_over

    lay_over(name)


@_command()
def weights() -> None:
    """Fetch and check the weight files of the encoders in run.encoders."""
    from earshift.pipeline import config
    from earshift.pipeline.weights import fetch_all

    loaded = config.load()
    fetch_all({name: loaded.encoders[name] for name in loaded.run.encoders})


@_command()
@click.argument("encoder")
@click.option("--record", is_flag=True, help="Keep today's vectors as golden ones.")
def verify(encoder: str, record: bool) -> None:
    """Check an encoder: a name under `encoders` in params.yaml, or package.module:Class."""
    from earshift.pipeline.verify import verify as check

    if not check(encoder, record=record):
        sys.exit(1)


@_command()
@click.option("--all-experiments", is_flag=True, help="Show every DVC experiment as well.")
def track(all_experiments: bool) -> None:
    """Show in MLflow what the files of results say."""
    from earshift.pipeline.tracking.track import track as bring_up_to_date

    bring_up_to_date(all_experiments=all_experiments)


@_command()
def stamp() -> None:
    """Write the commit and the experiment into report/index.html."""
    from earshift.pipeline.stamp import write_index

    write_index()


@_command()
@click.option("--keep-days", default=30.0, show_default=True, help="Keep what a stage has asked for in so many days.")
@click.option("--all", "every", is_flag=True, help="Remove everything that no output holds now.")
def gc(keep_days: float, every: bool) -> None:
    """Print the size of the store of artifacts, and remove what is out of use."""
    from earshift.pipeline.collect import collect

    collect(keep_days=0.0 if every else keep_days)


@_command()
@click.option("--sample", type=click.IntRange(1), default=2, show_default=True,
              help="Artifacts of each output that are computed again.")  # fmt: skip
def accept(sample: int) -> None:
    """After a change of code that changes no number: compute a sample again, and keep the rest if it is the same."""
    from earshift.pipeline.accept import accept as examine

    examine(sample)


@_command()
@click.argument("other", required=False)
def merge(other: str | None) -> None:
    """Take what both sides of a merge have computed; OTHER is a commit, by default that of the merge under way."""
    from earshift.pipeline.merge import merge as meet

    meet(other)


@_command()
@click.argument("study", type=click.Choice(["deng2025", "kim2019", "verma2023"]))
def findings(study: str) -> None:
    """Print a study's published findings beside the results here."""
    from earshift.pipeline import published

    published.show(study)


@_command()
@click.option("--jobs", default=2, show_default=True, help="Experiments at once.")
def queue(jobs: int) -> None:
    """Run the queued experiments."""
    from earshift.pipeline.queue import run

    run(jobs)


@_command()
@click.argument("url", default="")
@click.option("--endpoint", help="Address of an S3-compatible store.")
@click.option("--profile", help="Profile of AWS's configuration files, on this machine only.")
@click.option("--keyfile", help="Private SSH key, on this machine only.")
def remote(url: str, endpoint: str | None, profile: str | None, keyfile: str | None) -> None:
    """Set the shared remote up and check it; without URL, check the one that is set."""
    from earshift.pipeline.sharing.configuration import set_remote, show_remote

    options = {"endpoint": endpoint or None, "profile": profile or None, "keyfile": keyfile or None}
    if url or any(options.values()):
        set_remote(url or None, **options)
    else:
        show_remote()


def _sharing(function: Callable[..., None]) -> Callable[..., None]:
    """The options of push and pull."""
    for name, text in (("perturbations", "Of these perturbations only."), ("encoders", "Of these encoders only.")):
        function = click.option(f"--{name}", default="", metavar='"A B"', help=text)(function)
    return click.option("--audio", is_flag=True, help="The audio too.")(function)


def _words(text: str) -> list[str]:
    """Names that stand apart by spaces or commas."""
    return [word for word in re.split(r"[\s,]+", text) if word]


@_command()
@_sharing
def push(audio: bool, encoders: str, perturbations: str) -> None:
    """Bring to the shared remote what the pipeline made."""
    from earshift.pipeline.sharing import sharing

    sharing.push(audio=audio, encoders=_words(encoders), perturbations=_words(perturbations))


@_command()
@_sharing
def pull(audio: bool, encoders: str, perturbations: str) -> None:
    """Fetch from the shared remote what a colleague pushed."""
    from earshift.pipeline.sharing import sharing

    sharing.pull(audio=audio, encoders=_words(encoders), perturbations=_words(perturbations))


@main.command(context_settings={**CONTEXT, "ignore_unknown_options": True, "allow_interspersed_args": False})
@click.argument("command_line", nargs=-1, required=True, type=click.UNPROCESSED, metavar="COMMAND ...")
def worker(command_line: tuple[str, ...]) -> None:
    """Run a command, such as `dask worker`, with the settings that workers need (docs/scale.md)."""
    from earshift.pipeline.cluster import run_command

    command(run_command)(list(command_line))
