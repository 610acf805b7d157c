"""How time grows: ratios of doubling, a straight line, and the slope on logarithmic axes."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Growth:
    """What growing sizes cost.

    sizes : tuple of int, ascending
    seconds : tuple of float, at each
    start : float, seconds that any size takes: those of the smallest run, which is not among the sizes
    smallest : float, the size of that run
    """

    sizes: tuple
    seconds: tuple
    start: float = 0.0
    smallest: float = 0.0

    def ratios(self, start=0.0):
        """Seconds over those of the size before, `start` taken away from both."""
        return [(b - start) / (a - start) for a, b in zip(self.seconds, self.seconds[1:], strict=False)]

    def line(self):
        """Start-up a and seconds per unit b of seconds = a + b size, every size's relative error counting alike."""
        import numpy as np

        sizes, seconds = np.array(self.sizes, dtype=float), np.array(self.seconds)
        design = np.stack([np.ones_like(sizes), sizes], axis=1) / seconds[:, None]
        return tuple(float(v) for v in np.linalg.lstsq(design, np.ones_like(seconds), rcond=None)[0])

    def slope(self):
        """Slope of log(seconds - start) over log(size - smallest): 1 is linear, 2 is quadratic; NaN where none is."""
        import numpy as np

        work, sizes = np.array(self.seconds) - self.start, np.array(self.sizes, dtype=float) - self.smallest
        if (work <= 0).any():
            return float("nan")
        return float(np.polyfit(np.log(sizes), np.log(work), 1)[0])
