"""Growth of time with size: ratios per doubling, a straight line, and the slope on logarithmic axes."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Growth:
    """Time at growing sizes.

    sizes : tuple of int, ascending
    seconds : tuple of float, at each
    start : float, seconds that every size takes: those of the smallest run, which is not among the sizes
    smallest : float, the size of that run
    """

    sizes: tuple
    seconds: tuple
    start: float = 0.0
    smallest: float = 0.0

    def ratios(self, start=0.0):
        """Seconds divided by those of the previous size, `start` subtracted from both."""
        return [(b - start) / (a - start) for a, b in zip(self.seconds, self.seconds[1:], strict=False)]

    def line(self):
        """Start-up a and seconds per unit b of seconds = a + b size, with equal weight of all relative errors."""
        import numpy as np

        sizes, seconds = np.array(self.sizes, dtype=float), np.array(self.seconds)
        design = np.stack([np.ones_like(sizes), sizes], axis=1) / seconds[:, None]
        return tuple(float(v) for v in np.linalg.lstsq(design, np.ones_like(seconds), rcond=None)[0])

    def slope(self):
        """Slope of log(seconds - start) over log(size - smallest): 1 is linear, 2 quadratic; NaN if undefined."""
        import numpy as np

        work, sizes = np.array(self.seconds) - self.start, np.array(self.sizes, dtype=float) - self.smallest
        if (work <= 0).any():
            return float("nan")
        return float(np.polyfit(np.log(sizes), np.log(work), 1)[0])
