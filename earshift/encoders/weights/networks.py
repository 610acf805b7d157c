"""Weights of an encoder that was trained here."""

from dataclasses import dataclass
from pathlib import Path

from earshift.encoders.weights.record import Arrays, Provenance, WeightsSource, read_arrays
from earshift.errors import UserError
from earshift.storage import hashes


@dataclass(frozen=True)
class TrainedNetwork(WeightsSource):
    """The arrays of one network that was trained here.

    folder : with the networks of one encoder, which has the encoder's name
    network : which of its networks
    """

    folder: Path
    network: str

    licence = "trained here: as the audio that it was trained on allows"
    description = "networks that are trained here, stage models"

    @property
    def path(self) -> Path:
        return self.folder / f"{self.network}.npz"

    def check(self) -> str:
        return "trained by this repository" + ("" if self.path.is_file() else ", not yet")

    def arrays(self) -> tuple[Arrays, Provenance]:
        """See :class:`earshift.encoders.weights.record.WeightsSource`.

        Raises
        ------
        UserError
            If they were not trained yet.
        """
        stage = f"`dvc repro models@{self.folder.name}`"
        if not self.path.is_file():
            raise UserError(f"{self.path} is missing; {stage} trains it, `dvc pull` fetches it")
        found = read_arrays(self.path, f"delete it and run {stage}")
        return found, {"official": True, "files": {self.path.name: hashes.hash_files([self.path])[0]}}
