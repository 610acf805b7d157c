"""Stage ``figures``: the pictures, and the tables behind them."""

from dataclasses import replace
from functools import partial

from earshift.pipeline import config, paths, report_inputs
from earshift.pipeline.command import command
from earshift.pipeline.compute import mapper
from earshift.pipeline.progress import Progress
from earshift.report.figures import draw
from earshift.storage.files import write_table


@command
def main() -> None:
    """Draw everything: plots/figures/NAME.png and .svg, plots/NAME.csv."""
    results, compute = report_inputs.results(), config.load().compute
    names = list(draw.pictures(results))
    work = mapper(replace(compute, scheduler=None))  # no work for a cluster
    with Progress("figures", len(names), unit="pictures") as progress:
        for _ in work(partial(draw.draw, results, paths.FIGURES), names):
            progress.advance(1)
    for name, table in draw.tables(results).items():
        write_table(paths.PLOTS / f"{name}.csv", table)
    print(f"figures: {len(names)} pictures in {paths.FIGURES}/")


if __name__ == "__main__":
    main()
