"""What every perturbation offers.

A perturbation is a frozen dataclass: its fields are its options in params.yaml (``grid`` always among them), its class
attributes say what its values mean. Audio is float32, shape (channels, samples), full scale at 1. From a notebook::

    from earshift.perturbations.effects import Gain
    from earshift.perturbations.severity import severity

    quieter = Gain(grid=(-20, 0)).processor(-20)(audio, sample_rate)
    severity(audio, quieter, sample_rate)["snr_db"]
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from earshift.options import Options, value_text

if TYPE_CHECKING:
    import pandas as pd

ORIGINAL = "original"  # stands where a perturbation or a value would, for unperturbed clips

Audio: TypeAlias = NDArray[np.float32]  # shape (channels, samples), full scale at 1
Processor: TypeAlias = Callable[[Audio, int], Audio]  # (audio, sample rate in Hz) -> perturbed audio
Growth: TypeAlias = Literal["up", "down", "two-sided"]


@dataclass(frozen=True)
class Perturbation(Options):
    """A family of deformations with one graded value.

    grid : tuple of float, its values in any order; a subclass states the bounds

    name : str, as in ``perturbations.NAME``
    unit : str, of the value ("" where it has none)
    neutral : float or None, the value that changes nothing
    growth : "up" (larger is stronger), "down" (smaller is stronger) or "two-sided" (ranked by value, as published)
    stateful : bool, whether one clip can leave something behind that runs into the next
    packages : tuple of str, whose versions determine the numbers
    external_inputs : tuple of str, options that name files outside the repository: the content of these files
        determines the numbers (:meth:`external_inputs_hash`), not where they lie
    original_value : float or None, where the study draws the unperturbed clip on this axis
    moves_music : bool, whether it changes what is played rather than how well it can be heard (pitch, tempo, gain)
    costly : bool, whether making its audio takes longer than what encoders do with it, so that it is worth keeping
    published_processing : bool, whether ``fidelity: paper`` puts the processing of deng2025 around it
        (:mod:`earshift.perturbations.processing`)
    """

    grid: tuple[float, ...]

    name: ClassVar[str] = ""
    unit: ClassVar[str] = ""
    neutral: ClassVar[float | None] = None
    growth: ClassVar[Growth] = "up"
    stateful: ClassVar[bool] = False
    packages: ClassVar[tuple[str, ...]] = ()
    external_inputs: ClassVar[tuple[str, ...]] = ()
    original_value: ClassVar[float | None] = None
    costly: ClassVar[bool] = False
    moves_music: ClassVar[bool] = False
    published_processing: ClassVar[bool] = True

    def with_fidelity(self, fidelity: str) -> Self:
        """This perturbation, with the options that are null in params.yaml set as ``fidelity`` says."""
        return self

    def external_inputs_hash(self) -> str:
        """Hash of the files outside the repository that determine the numbers, "" where there are none.

        Raises
        ------
        UserError
            If such a file cannot be read or used.
        """
        return ""

    def check(self, clips: "pd.DataFrame") -> None:
        """Raise a UserError before the work starts where these clips cannot be perturbed; report what differs.

        Parameters
        ----------
        clips : table as :func:`earshift.storage.clips.read_clips` returns
        """

    def values(self) -> tuple[float, ...]:
        """The grid in order of growing strength."""
        return tuple(sorted(self.grid, reverse=self.growth == "down"))

    def strengths(self) -> dict[str, float]:
        """Strength of every value by its canonical text: its rank along the grid, from 0 to 1."""
        values = self.values()
        return {value_text(value): rank / (len(values) - 1) for rank, value in enumerate(values)}

    def length(self, value: float) -> float:
        """How many times as long a clip becomes."""
        return 1.0

    def processor(self, value: float, *, carry_state: bool = False) -> Processor:
        """A function (audio, sample_rate) -> audio that applies one value.

        Parameters
        ----------
        value : float
        carry_state : bool
            Whether what one call leaves behind (a reverb tail) runs into the next, as in the published loop.

        Returns
        -------
        callable
            Takes float32 audio [shape=(channels, samples)] and its sample rate in Hz, leaves its input as it is, and
            returns float32 audio of the same shape, or :meth:`length` times as long.
        """
        raise NotImplementedError
