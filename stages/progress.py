"""How far long work is, on the terminal or line by line in a log."""

import sys
import time


class Progress:
    """A progress bar over clips with rate, ETA and reuse; plain lines every ten seconds where there is no terminal.

    Parameters
    ----------
    label : str
    total : int
        Clips to go through, those that are reused included.
    reused : int
        Clips that need no work.
    unit : str
        What is counted, where it is not clips.
    """

    def __init__(self, label, total, reused=0, unit="clips"):
        from tqdm import tqdm

        self.label, self.total, self.reused, self.done, self.unit = label, total, reused, 0, unit
        self._start = self._last = time.monotonic()
        self._bar = tqdm(total=total, initial=reused, desc=label, unit=f" {unit}", disable=not sys.stderr.isatty(),
                         postfix={"reused": reused}, leave=False)  # fmt: skip

    def advance(self, clips):
        """Count `clips` as done."""
        self.done += clips
        self._bar.update(clips)
        now = time.monotonic()
        if self._bar.disable and now - self._last >= 10:
            self._last = now
            rate = self.done / (now - self._start)
            left = (self.total - self.reused - self.done) / rate
            print(f"{self.label}: {self.reused + self.done}/{self.total} {self.unit}, {rate:.1f} {self.unit}/s, "
                  f"{left:.0f} s left, {self.reused} reused", file=sys.stderr, flush=True)  # fmt: skip

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self._bar.close()

    @property
    def rate(self):
        """Clips per second so far."""
        return self.done / max(time.monotonic() - self._start, 1e-9)
