"""What every perturbation offers.

A perturbation is a frozen dataclass: its fields are its options in params.yaml (``grid`` always among them), its class
attributes say what its values mean. Audio is float32, shape (channels, samples), full scale at 1.
"""

from stages.params import value_text


class Perturbation:
    """A family of deformations with one graded value.

    name : str, as in ``perturbations.NAME``
    unit : str, of the value ("" where it has none)
    neutral : float or None, the value that changes nothing
    growth : "up" (larger is stronger), "down" (smaller is stronger) or "two-sided" (ranked by value, as published)
    stateful : bool, whether one clip can leave something behind that runs into the next
    packages : tuple of str, whose versions determine the numbers
    original_value : float, where the study draws the unperturbed clip on this axis
    """

    name = None
    unit = ""
    neutral = None
    growth = "up"
    stateful = False
    packages = ()
    original_value = None

    def values(self):
        """The grid in order of growing strength."""
        return tuple(sorted(self.grid, reverse=self.growth == "down"))

    def strengths(self):
        """Strength of every value by its canonical text: its rank along the grid, from 0 to 1."""
        values = self.values()
        return {value_text(value): rank / (len(values) - 1) for rank, value in enumerate(values)}

    def processor(self, value, *, carry_state=False):
        """A function (audio, sample_rate) -> audio of the same shape, float32.

        Parameters
        ----------
        value : float
        carry_state : bool
            Whether what one call leaves behind (a reverb tail) runs into the next, as in the published loop.
        """
        raise NotImplementedError


BASE = Perturbation
