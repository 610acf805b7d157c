"""What the stages of one encoder under one perturbation share: their command line, what they read and write."""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from earshift.analysis.data import Trajectories
from earshift.pipeline import config, paths
from earshift.pipeline.command import command
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
    """

    analysis: str
    encoder: str
    perturbation: str
    params: config.Config

    def trajectories(self, *, lazily: bool = False) -> Trajectories:
        """The pair's vectors; `lazily`, they stay in their files until they are asked for."""
        return read_trajectories(self.encoder, self.perturbation, classes=self.params.classes.tags, lazily=lazily)

    def write(self, model: type, result: Any, **tables: "pd.DataFrame") -> None:
        """Write the tables as CSV under plots/, by name, and then the result under metrics/."""
        folder = paths.plots(self.analysis, self.encoder, self.perturbation)
        for name, table in tables.items():
            write_table(folder / f"{name}.csv", table)
        write_result(paths.metrics(self.analysis, self.encoder, self.perturbation), model, result)

    def write_parquet(self, name: str, table: "pd.DataFrame") -> None:
        """Write a long table as Parquet under plots/."""
        write_parquet(paths.plots(self.analysis, self.encoder, self.perturbation) / f"{name}.parquet", table)


def pair_stage(analysis: str) -> Callable[[Callable[[Pair], None]], Callable[..., None]]:
    """Make a function of a :class:`Pair` the ``main`` of a stage whose command line is ``ENCODER PERTURBATION``."""

    def stage(run: Callable[[Pair], None]) -> Callable[..., None]:
        @command
        def main(arguments: Sequence[str] | None = None) -> None:
            parser = argparse.ArgumentParser(prog=f"python -m stages.{analysis}", description=run.__doc__)
            parser.add_argument("encoder", metavar="ENCODER")
            parser.add_argument("perturbation", metavar="PERTURBATION")
            given = parser.parse_args(arguments)
            run(Pair(analysis, given.encoder, given.perturbation, config.load()))

        main.__doc__ = run.__doc__
        return main

    return stage
