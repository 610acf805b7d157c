"""Stage ``corpus``: clips, packed and indexed."""

from earshift.pipeline import paths
from earshift.pipeline.command import command
from earshift.pipeline.config import load
from earshift.pipeline.corpus import build
from earshift.storage.files import sole_writer


@command
def main() -> None:
    with sole_writer(paths.CORPUS, paths.LOCKS):
        build(load())


if __name__ == "__main__":
    main()
