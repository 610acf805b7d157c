"""How far long work is: a bar on a terminal, lines without one, and lines in the log of the stage."""

import sys
import time
from typing import Self

from earshift.pipeline import profile

_SECONDS = 10  # between two lines


class Progress:
    """A progress bar over clips with rate, time left and reuse; lines every ten seconds where there is no terminal.

    A stage that DVC runs has the lines in its log in any case, and the counts in its profile
    (:mod:`earshift.pipeline.profile`). :meth:`advance` is an :class:`earshift.protocols.Advance`.

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

    def __init__(self, label: str, total: int, reused: int = 0, unit: str = "clips") -> None:
        from tqdm import tqdm

        self.label, self.total, self.reused, self.done, self.unit = label, total, reused, 0, unit
        self._profile = profile.current()
        self._start = self._last = time.monotonic()
        self._bar = tqdm(total=total, initial=reused, desc=label, unit=f" {unit}", disable=not sys.stderr.isatty(),
                         postfix={"reused": reused}, leave=False)  # fmt: skip
        self._log(f"{label}: {reused}/{total} {unit}, {reused} reused")

    def advance(self, items: int, /) -> None:
        """Count so many items as done."""
        self.done += items
        self._bar.update(items)
        now = time.monotonic()
        if now - self._last >= _SECONDS and self.done:
            self._last = now
            left = (self.total - self.reused - self.done) * (now - self._start) / self.done
            line = f"{self._so_far(now)}, {left:.0f} s left, {self.reused} reused"
            if self._bar.disable:
                print(line, file=sys.stderr, flush=True)
            self._log(line)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._bar.close()
        if self._profile is not None:
            now = time.monotonic()
            self._profile.count(self.unit, self.done, self.reused, now - self._start)
            end = "stopped" if any(exception) else "done"
            self._log(f"{self._so_far(now)}, {end} after {now - self._start:.0f} s, {self.reused} reused")

    def _so_far(self, now: float) -> str:
        rate = self.done / max(now - self._start, 1e-9)
        return f"{self.label}: {self.reused + self.done}/{self.total} {self.unit}, {rate:.1f} {self.unit}/s"

    def _log(self, line: str) -> None:
        if self._profile is not None:
            self._profile.line(line)

    @property
    def rate(self) -> float:
        """Items per second so far."""
        return self.done / max(time.monotonic() - self._start, 1e-9)
