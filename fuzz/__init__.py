"""Readers of files from strangers, tried with what strangers may send: ``python -m fuzz`` (docs/untrusted-input.md).

Conventions
-----------
A target is a file fuzz/targets/NAME.py with a function ``target(data: bytes)`` that hands the bytes to a reader as a
file would. It returns, or raises :class:`earshift.errors.UserError`; errors that the reader documents besides it
suppresses itself. Everything else is a finding: another exception, more than :data:`fuzz.guard.SECONDS` of processor
time or :data:`fuzz.guard.MEMORY` bytes, a process that dies, a message that is not plain text, anything started or
connected to, anything written outside the working folder. A module may have ``WORDS``, pieces that its format is made
of, ``mutated(data, random)``, a mutation that keeps its structure, and ``prepared()``, what is done once before.

fuzz/corpus/NAME holds inputs that together reach every line that was reached so far, fuzz/crashes/NAME one input for
each finding there ever was; ``make test`` goes through both.

- :mod:`fuzz.guard`: one input, watched
- :mod:`fuzz.mutation`: other inputs from known ones
- :mod:`fuzz.worker`: a process that goes through inputs of one target
- :mod:`fuzz.campaign`: starts workers, keeps what they find
"""
