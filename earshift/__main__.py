"""``python -m earshift``: the command line."""

from earshift.pipeline.cli import main

if __name__ == "__main__":
    main(prog_name="earshift")
