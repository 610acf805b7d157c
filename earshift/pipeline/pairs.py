"""The stages that compute something of every encoder under every perturbation of the run.

Each pair is an artifact of its own; they are computed side by side (:mod:`earshift.pipeline.side_by_side`).
"""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from earshift.analysis.data import Trajectories
from earshift.errors import UserError
from earshift.pipeline import config, paths
from earshift.pipeline.artifacts import Artifact, file_hashes, make_key, open_output
from earshift.pipeline.command import command
from earshift.pipeline.compute import Compute
from earshift.pipeline.side_by_side import compute_missing
from earshift.pipeline.trajectories import read_trajectories
from earshift.storage.files import write_parquet, write_table
from earshift.storage.results import write_result

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Pair:
    """One encoder under one perturbation, as an analysis looks at it.

    analysis, encoder, perturbation : str
    params : earshift.pipeline.config.Config
    root : folder that stands for the repository when results are written
    """

    analysis: str
    encoder: str
    perturbation: str
    params: config.Config
    root: Path = field(default=Path(), compare=False)

    @property
    def name(self) -> str:
        return f"{self.encoder}/{self.perturbation}"

    def trajectories(self, *, lazily: bool = False) -> Trajectories:
        """The pair's vectors; `lazily`, they stay in their files until they are asked for."""
        return read_trajectories(self.encoder, self.perturbation, classes=self.params.classes.tags, lazily=lazily)

    def write(self, model: type, result: Any, **tables: "pd.DataFrame") -> None:
        """Write the tables as CSV under plots/, by name, and then the result under metrics/."""
        for name, table in tables.items():
            write_table(self.plots / f"{name}.csv", table)
        write_result(self.root / paths.metrics(self.analysis, self.encoder, self.perturbation), model, result)

    def write_parquet(self, name: str, table: "pd.DataFrame") -> None:
        """Write a long table as Parquet under plots/."""
        write_parquet(self.plots / f"{name}.parquet", table)

    @property
    def plots(self) -> Path:
        """Where its plot data are written."""
        return self.root / paths.plots(self.analysis, self.encoder, self.perturbation)


def vector_hashes(encoder: str, perturbation: str) -> dict[str, Any]:
    """Hashes of the table of clips and of the vectors of a pair, by path."""
    vectors = sorted(paths.embeddings(encoder, perturbation).glob("*.h5"))
    return file_hashes([paths.CLIPS, paths.originals(encoder), *vectors])


def pair_stage(
    analysis: str,
    analyse: Callable[[Pair], None],
    *,
    options: Callable[[Pair], Any],
    contents: Callable[[Pair], dict[str, Any]] = lambda pair: vector_hashes(pair.encoder, pair.perturbation),
) -> Callable[..., None]:
    """The ``main`` of a stage that computes every pair of the run, or with ``--only`` one pair into the store.

    Parameters
    ----------
    analysis : name of the stage, and of its folders under metrics/ and plots/
    analyse : writes the files of a pair; at module level, so that another process can import it
    options : the options that its numbers depend on
    contents : hashes of the files that it reads
    """

    @command
    def main(arguments: Sequence[str] | None = None) -> None:
        parser = argparse.ArgumentParser(prog=f"python -m stages.{analysis}", description=analyse.__doc__)
        parser.add_argument("--only", metavar="ENCODER/PERTURBATION", help="compute this pair, into the store alone")
        only = parser.parse_args(arguments).only
        params = config.load()
        chosen = [_named(only, params)] if only else params.pairs()
        common = make_key(analysis, contents={}, options=None, code=[f"stages.{analysis}"])
        tasks = {}
        for encoder, perturbation in chosen:
            pair = Pair(analysis, encoder, perturbation, params)
            names = analysis, encoder, perturbation
            determined = {"encoder": encoder, "perturbation": perturbation, "options": options(pair)}
            key = replace(common, contents=contents(pair), options=determined)
            tasks[Artifact(pair.name, key, (paths.metrics(*names), paths.plots(*names)))] = pair
        output = None if only else open_output(paths.METRICS / analysis, list(tasks), also=[paths.PLOTS / analysis])
        compute_missing(analysis, partial(_write, analyse), tasks, output, params.compute, unit="pairs")

    main.__doc__ = analyse.__doc__
    return main


def _write(analyse: Callable[[Pair], None], pair: Pair, root: Path, compute: Compute) -> None:
    analyse(replace(pair, root=root, params=replace(pair.params, compute=compute)))


def _named(name: str, params: config.Config) -> tuple[str, str]:
    encoder, _, perturbation = name.partition("/")
    known = (("encoder", encoder, [*params.encoders]), ("perturbation", perturbation, [*params.perturbations]))
    for kind, given, configured in known:
        if given not in configured:
            raise UserError(f"--only {name}: no {kind} {given!r}; params.yaml configures {', '.join(configured)}")
    return encoder, perturbation
