"""What every perturbation offers.

A perturbation is a frozen dataclass: its fields are its options in params.yaml (``grid`` always among them), its class
attributes say what its values mean. Audio is float32, shape (channels, samples), full scale at 1.
"""

from earshift.options import Options, value_text


class Perturbation(Options):
    """A family of deformations with one graded value.

    name : str, as in ``perturbations.NAME``
    unit : str, of the value ("" where it has none)
    neutral : float or None, the value that changes nothing
    growth : "up" (larger is stronger), "down" (smaller is stronger) or "two-sided" (ranked by value, as published)
    stateful : bool, whether one clip can leave something behind that runs into the next
    packages : tuple of str, whose versions determine the numbers
    places : tuple of str, options that say where files lie: what is in them determines the numbers (``material``)
    original_value : float or None, where the study draws the unperturbed clip on this axis
    moves_music : bool, whether it changes what is played rather than how well it can be heard (pitch, tempo, gain)
    costly : bool, whether making its audio takes longer than what encoders do with it, so that it is worth keeping
    published_chain : bool, whether ``fidelity: paper`` puts the first study's chain around it (earshift.perturbations.processing)
    """

    name = None
    unit = ""
    neutral = None
    growth = "up"
    stateful = False
    packages = ()
    places = ()
    original_value = None
    costly = False
    moves_music = False
    published_chain = True

    def decided(self, fidelity):
        """This perturbation with the options that are null in params.yaml as ``fidelity`` decides them."""
        return self

    def material(self):
        """Hash of the user's files that determine the numbers beside the options, "" where there are none.

        Raises
        ------
        UserError
            If such a file cannot be read or used.
        """
        return ""

    def check(self, clips):
        """Raise a UserError before the work starts where these clips cannot be perturbed; say what differs.

        Parameters
        ----------
        clips : table as :func:`earshift.storage.clips.read_clips` returns
        """

    def values(self):
        """The grid in order of growing strength."""
        return tuple(sorted(self.grid, reverse=self.growth == "down"))

    def strengths(self):
        """Strength of every value by its canonical text: its rank along the grid, from 0 to 1."""
        values = self.values()
        return {value_text(value): rank / (len(values) - 1) for rank, value in enumerate(values)}

    def length(self, value):
        """How many times as long a clip becomes."""
        return 1.0

    def processor(self, value, *, carry_state=False):
        """A function (audio, sample_rate) -> audio, float32: of the same shape up to :meth:`length`.

        Parameters
        ----------
        value : float
        carry_state : bool
            Whether what one call leaves behind (a reverb tail) runs into the next, as in the published loop.
        """
        raise NotImplementedError


BASE = Perturbation
