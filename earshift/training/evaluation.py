"""Scores of trained networks on test clips, as these are and at a value of a perturbation."""

from collections.abc import Iterable
from typing import Protocol

from earshift.perturbations.recipe import Batch, Recipe
from earshift.training.records import Score


class Evaluator(Protocol):
    """Scores a network on the test clips."""

    def score(self) -> Score:
        """The score on the clips as they are."""

    def score_perturbed(self, recipe: Recipe, clips: Iterable[Batch]) -> Score:
        """The score at one value of a perturbation.

        Parameters
        ----------
        recipe : of the value
        clips : the test clips under it in their order, at their own rate and with all channels
        """
