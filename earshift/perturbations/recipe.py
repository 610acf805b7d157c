"""One value of a perturbation as something that can be written down, compared and applied to a whole corpus."""

import json
from collections.abc import Collection, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path

from earshift.errors import UserError
from earshift.options import value_text
from earshift.perturbations.base import Audio, Perturbation, Processor
from earshift.perturbations.processing import Switches, build_processor


@dataclass(frozen=True)
class Recipe:
    """All that turns a corpus into one perturbed version of it.

    perturbation : Perturbation
    value : str, canonical text
    fidelity : str, "corrected" or "paper"
    switches : Switches, see :mod:`earshift.perturbations.processing`
    external_inputs : str, hash of the files outside the repository that it was planned with, "" where there are none
    """

    perturbation: Perturbation
    value: str
    fidelity: str = "corrected"
    switches: Switches = field(default_factory=Switches)
    external_inputs: str = ""

    @property
    def ordered(self) -> bool:
        """Whether clips must pass one after another, since each may leave something behind for the next."""
        return self.switches.reverb_tail and self.perturbation.stateful

    @property
    def dtype(self) -> str:
        """Sample type that holds the perturbed audio exactly: 16 bits after the trip through a 16-bit file."""
        return "int16" if self.switches.wav_round_trip else "float32"

    def processor(self) -> Processor:
        """The function (audio, sample_rate) -> perturbed audio; a clip without samples stays as it is.

        Raises
        ------
        UserError
            If files that the recipe was planned with are not here or have changed.
        """
        if self.external_inputs and self.perturbation.external_inputs_hash() != self.external_inputs:
            name = self.perturbation.name
            raise UserError(
                f"the files that perturbations.{name} reads have changed since its recipes were made; run `dvc repro`"
            )
        process = build_processor(self.perturbation, float(self.value), self.switches)
        return lambda audio, sample_rate: process(audio, sample_rate) if audio.size else audio

    def attributes(self) -> dict[str, str]:
        """What files made with this recipe state about it; the whole recipe can be read back from it."""
        return {
            "perturbation": self.perturbation.name,
            "value": self.value,
            "unit": self.perturbation.unit,
            "neutral": "" if self.perturbation.neutral is None else value_text(self.perturbation.neutral),
            "growth": self.perturbation.growth,
            "fidelity": self.fidelity,
            "switches": json.dumps(asdict(self.switches), sort_keys=True),
            "options": json.dumps(self._options(), sort_keys=True),
            "external_inputs": self.external_inputs,
        }

    def _options(self) -> dict[str, object]:
        return {key: value for key, value in asdict(self.perturbation).items() if key != "grid"}


@dataclass(frozen=True)
class Batch:
    """Some clips of packed audio under a recipe, to be read wherever a map runs its function.

    rows : collection of int, which clips
    packed : path of the packed audio, on a disk that all workers see
    recipe : Recipe to apply while reading, or None for the audio as it is
    audio : the clips themselves, where they had to pass an effect one after another
    """

    rows: Collection[int]
    packed: Path
    recipe: Recipe | None
    audio: list[tuple[Audio, int]] | None = None

    @property
    def start(self) -> int:
        """The first of its clips, for messages of a map."""
        return min(self.rows, default=0)

    @property
    def stop(self) -> int:
        """One past the last of its clips."""
        return max(self.rows, default=-1) + 1

    def read(self) -> list[tuple[Audio, int]]:
        """Audio, float32 [shape=(channels, samples)], and sample rate in Hz of every clip, in the order of `rows`."""
        from earshift.storage.packed_audio import AudioReader

        if self.audio is not None:
            return self.audio
        processor = self.recipe.processor() if self.recipe else _unchanged
        with AudioReader(self.packed) as reader:
            return [(processor(audio, rate), rate) for audio, rate in map(reader.__getitem__, self.rows)]


def batches(packed: Path, recipe: Recipe | None, rows: Iterable[Collection[int]]) -> Iterator[Batch]:
    """Clips of packed audio under a recipe, batch by batch, as items for a :class:`earshift.protocols.Map`.

    A batch is perturbed where it is read, except where clips must pass the effect one after another
    (:attr:`Recipe.ordered`): all clips up to the last row are then perturbed here, in order, as batches are taken. ::

        for vectors in map(encode, batches(packed, recipe, [range(0, 16), range(16, 32)])): ...

    Parameters
    ----------
    packed : path of the packed audio
    recipe : Recipe, or None for the audio as it is
    rows : collections of int, the clips of each batch; no batch may have clips before those of an earlier one
    """
    from earshift.storage.packed_audio import AudioReader

    if recipe is None or not recipe.ordered:
        yield from (Batch(batch, packed, recipe) for batch in rows)
        return
    processor, position = recipe.processor(), 0
    with AudioReader(packed) as reader:
        perturbed = ((processor(audio, rate), rate) for audio, rate in reader)
        for batch in rows:
            stop = max(batch, default=-1) + 1
            passed = enumerate(islice(perturbed, max(stop - position, 0)), position)
            audio = {row: clip for row, clip in passed if row in batch}
            position = max(stop, position)
            yield Batch(batch, packed, recipe, [audio[row] for row in batch])


def _unchanged(audio: Audio, sample_rate: int) -> Audio:
    return audio
