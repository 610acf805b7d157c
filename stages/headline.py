"""Stage ``headline``: the numbers by which experiments are compared at a glance."""

from earshift.pipeline import paths, report_inputs
from earshift.pipeline.command import command
from earshift.report.headline import headline
from earshift.storage.files import write_json


@command
def main() -> None:
    """Write metrics/headline.json."""
    write_json(paths.HEADLINE, headline(report_inputs.results()))


if __name__ == "__main__":
    main()
