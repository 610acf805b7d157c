"""How far long work is: a bar on a terminal, lines without one, and lines in the stage's log (earshift.pipeline.profile)."""

import sys
import time

from earshift.pipeline import profile

_SECONDS = 10  # between two lines


class Progress:
    """A progress bar over clips with rate, ETA and reuse; plain lines every ten seconds where there is no terminal.

    A stage that DVC runs has the lines in its log in any case, and what was counted in its profile.

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
        self._profile = profile.current()
        self._start = self._last = time.monotonic()
        self._bar = tqdm(total=total, initial=reused, desc=label, unit=f" {unit}", disable=not sys.stderr.isatty(),
                         postfix={"reused": reused}, leave=False)  # fmt: skip
        self._log(f"{label}: {reused}/{total} {unit}, {reused} reused")

    def advance(self, clips):
        """Count `clips` as done."""
        self.done += clips
        self._bar.update(clips)
        now = time.monotonic()
        if now - self._last >= _SECONDS and self.done:
            self._last = now
            left = (self.total - self.reused - self.done) * (now - self._start) / self.done
            line = f"{self._so_far(now)}, {left:.0f} s left, {self.reused} reused"
            if self._bar.disable:
                print(line, file=sys.stderr, flush=True)
            self._log(line)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self._bar.close()
        if self._profile is not None:
            now = time.monotonic()
            self._profile.count(self.unit, self.done, self.reused, now - self._start)
            end = "stopped" if any(exception) else "done"
            self._log(f"{self._so_far(now)}, {end} after {now - self._start:.0f} s, {self.reused} reused")

    def _so_far(self, now):
        rate = self.done / max(now - self._start, 1e-9)
        return f"{self.label}: {self.reused + self.done}/{self.total} {self.unit}, {rate:.1f} {self.unit}/s"

    def _log(self, line):
        if self._profile is not None:
            self._profile.line(line)

    @property
    def rate(self):
        """Clips per second so far."""
        return self.done / max(time.monotonic() - self._start, 1e-9)
