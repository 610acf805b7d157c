"""What :mod:`earshift.encoders.kernels.winograd` and its compiled part have in common.

With the 1 and 2 of the textbook in place of 5/8 and 3/2 rounding errors are twice as large.
"""

LANES = 64  # channels that the inner loops take at once
NEAR, FAR = 5 / 8, 3 / 2  # the points are 0, both of these, their negatives, and infinity
