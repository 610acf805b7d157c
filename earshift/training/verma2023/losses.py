"""What streams are trained on: outputs against the labels that hold, 0 or 1 for each class (Verma, 2023, section 3).

Conventions
-----------
Outputs are what a network's last linear layer gives. *Scores* are what the loss compares with the targets and what is
averaged over a clip: outputs as they are, or their sigmoid. BCE takes the logarithm of a probability, so its scores are
sigmoids. Losses are means over chunks and classes.
"""

from dataclasses import dataclass
from typing import Annotated, Literal

from earshift.errors import UserError
from earshift.options import Interval, Options

HUBER, BCE = "huber", "bce"
NONE, SIGMOID = "none", "sigmoid"


@dataclass(frozen=True)
class Loss(Options):
    """Options. ``delta``: of Huber's loss, where squares end; ``output``: what is between outputs and scores.

    Scores and targets in [0, 1] differ by 1 at most, so with a sigmoid a delta of 1 or more is half the squared error.
    """

    name: Literal["huber", "bce"]
    delta: Annotated[float, Interval(ge=1e-4, le=1e4)]
    output: Literal["none", "sigmoid"]


def checked(loss, key):
    """The same options, if they go together.

    Raises
    ------
    UserError
        If they do not; `key` names their section of params.yaml.
    """
    if loss.name == BCE and loss.output != SIGMOID:
        raise UserError(f"{key}.output is {loss.output!r}; {key}.name: bce needs probabilities, so it must be sigmoid")
    return loss


def loss_of(outputs, targets, loss):
    """The mean loss.

    Parameters
    ----------
    outputs : float tensor [shape=(chunks, classes)]
    targets : tensor [shape=(chunks, classes)], 0 and 1
    loss : Loss

    Returns
    -------
    float32 tensor [shape=()]
    """
    from torch.nn import functional as F

    outputs, targets = outputs.float(), targets.float()
    if loss.name == BCE:
        return F.binary_cross_entropy_with_logits(outputs, targets)
    return F.huber_loss(scores_of(outputs, loss), targets, delta=loss.delta)


def scores_of(outputs, loss):
    """Scores from outputs, float32 tensor [shape=(chunks, classes)]."""
    return outputs.float().sigmoid() if loss.output == SIGMOID else outputs.float()
