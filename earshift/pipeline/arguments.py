"""The command line of a stage that works on one encoder or one perturbation of params.yaml."""

import argparse
from collections.abc import Sequence
from typing import Literal

from earshift.errors import UserError
from earshift.pipeline import config

Kind = Literal["encoder", "perturbation"]


def read_arguments(
    description: str | None, *kinds: Kind, arguments: Sequence[str] | None = None, also: Sequence[str] = ()
) -> tuple[config.Config, list[str]]:
    """The checked params.yaml, and the names on the command line.

    Parameters
    ----------
    description : what ``--help`` prints
    kinds : what is named, in order
    arguments : instead of those of the process
    also : names that are accepted beside the configured ones

    Raises
    ------
    UserError
        If a name is not configured.
    """
    parser = argparse.ArgumentParser(description=description)
    for kind in kinds:
        parser.add_argument(kind, metavar=kind.upper())
    given, loaded = vars(parser.parse_args(arguments)), config.load()
    for kind in kinds:
        known = loaded.encoders if kind == "encoder" else loaded.perturbations
        if given[kind] not in (*known, *also):
            raise UserError(f"unknown {kind} {given[kind]!r}; params.yaml configures {', '.join(known)}")
    return loaded, [given[kind] for kind in kinds]
