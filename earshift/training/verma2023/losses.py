"""What streams are trained on: outputs against the labels that hold, 0 or 1 for each class (Verma, 2023, section 3).

Conventions
-----------
Outputs are what a network's last linear layer gives. *Scores* are what the loss compares with the targets and what is
averaged over a clip: outputs as they are, or their sigmoid. BCE takes the logarithm of a probability, so its scores are
sigmoids. Losses are means over chunks and classes.

Imports torch: import this module inside functions.
"""

from torch import Tensor
from torch.nn import functional as F

from earshift.training.verma2023.options import Loss


def loss_of(outputs: Tensor, targets: Tensor, loss: Loss) -> Tensor:
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
    outputs, targets = outputs.float(), targets.float()
    if loss.name == "bce":
        return F.binary_cross_entropy_with_logits(outputs, targets)
    return F.huber_loss(scores_of(outputs, loss), targets, delta=loss.delta)


def scores_of(outputs: Tensor, loss: Loss) -> Tensor:
    """Scores from outputs, float32 tensor [shape=(chunks, classes)]."""
    return outputs.float().sigmoid() if loss.output == "sigmoid" else outputs.float()
