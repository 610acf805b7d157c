"""Stage ``track``: shows in MLflow what the files say, and stamps the report. It runs with every ``dvc repro``."""

from earshift.pipeline.command import command
from earshift.pipeline.tracking.track import track


@command
def main() -> None:
    track()


if __name__ == "__main__":
    main()
