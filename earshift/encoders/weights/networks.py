"""Weights of an encoder that was trained here: they lie in data/models."""

from dataclasses import dataclass

from earshift.encoders.weights.record import read_arrays
from earshift.errors import UserError
from earshift.pipeline import paths
from earshift.storage import hashes


@dataclass(frozen=True)
class Trained:
    """The arrays of one trained network, where others have an official file (:mod:`earshift.encoders.weights.official`).

    encoder : str, its name in params.yaml
    network : str, which of its networks
    """

    encoder: str
    network: str

    licence = "trained here: as the audio that it was trained on allows"

    @property
    def source(self):
        return f"stage train@{self.encoder}"

    @property
    def path(self):
        return paths.model(self.encoder) / f"{self.network}.npz"

    def at_hand(self):
        """See :class:`earshift.encoders.weights.official.Official`."""
        return True

    def stand_in(self):
        """None: DVC watches data/models by itself."""
        return None

    def check(self):
        """What is at hand, in words."""
        return "trained by this repository" + ("" if self.path.is_file() else ", not yet")

    def arrays(self):
        """The weights, and what the record says about them.

        Raises
        ------
        UserError
            If they were not trained yet.
        """
        if not self.path.is_file():
            raise UserError(
                f"{self.path} is missing; `dvc repro train@{self.encoder}` trains it, `dvc pull` fetches it"
            )
        found = read_arrays(self.path, f"delete it and run `dvc repro train@{self.encoder}`")
        return found, {"official": True, "files": {self.path.name: hashes.remembered_sha256([self.path])[0]}}
