"""Checkpoints laid out like the published ones of PANNs and MS-CLAP, with random weights, by the packages' own classes.

Two parts are not random: batch normalisation has roughly the statistics of its inputs, so that every layer passes on
differences between clips, and the tables of the spectrogram are those that torchlibrosa computes.

- :func:`write_panns`, :func:`write_clap`: write a checkpoint
- :func:`cnn14`, :func:`audio_encoder`: its network, as the package runs it
"""

import warnings
from types import SimpleNamespace

import numpy as np
import torch
from torch import nn

from earshift.encoders import clap, panns
from earshift.encoders.weights.package_modules import load_module


def write_panns(path, seed=0, *, zipped=False):
    """Write a file like Cnn14_mAP=0.431.pth: in PyTorch's format before the zip, with NumPy arrays of a sampler."""
    sampler = {"indexes": np.arange(7, dtype=np.int64), "pointer": np.int64(3), "mAP": np.float64(0.431)}
    content = {"iteration": 660000, "model": cnn14(seed).state_dict(), "sampler": sampler}
    torch.save(content, path, _use_new_zipfile_serialization=zipped)


def write_clap(path, seed=0, *, zipped=True):
    """Write a file like CLAP_weights_2023.pth: a text branch and more beside the audio branch."""
    state = {f"audio_encoder.{name}": tensor for name, tensor in audio_encoder(seed).state_dict().items()}
    generator = torch.Generator().manual_seed(seed + 1)
    for name, shape in {
        "caption_encoder.base.wte.weight": (50, 16),
        "caption_encoder.base.h.0.attn.bias": (1, 1, 4, 4),
        "caption_encoder.projection.linear1.weight": (1024, 768),
        "logit_scale": (),
    }.items():
        state[name] = torch.randn(shape, generator=generator)
    torch.save({"model": state, "epoch": 12}, path, _use_new_zipfile_serialization=zipped)


def cnn14(seed=0):
    """``panns_inference.models.Cnn14`` with random weights."""
    modules = {**_torchlibrosa(), "matplotlib.pyplot": None}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = load_module("panns_inference.models", "panns-inference==0.1.1", modules).Cnn14(**panns._CONFIG)
        _fit(network, network, panns._SAMPLE_RATE)
        nn.init.normal_(network.fc1.bias, std=0.2)
    return network.eval()


def audio_encoder(seed=0):
    """``msclap.models.clap.AudioEncoder`` with random weights."""
    modules = {**_torchlibrosa(), "transformers": SimpleNamespace(AutoModel=None)}
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        torch.manual_seed(seed)
        network = load_module("msclap.models.clap", "msclap==1.3.4", modules).AudioEncoder(**clap._CONFIG)
        for module in network.modules():
            if isinstance(module, nn.LayerNorm):
                nn.init.uniform_(module.weight, 0.7, 1.3)
                nn.init.normal_(module.bias, std=0.2)
            elif isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=1.5 / np.sqrt(module.in_features))
                if module.bias is not None:
                    nn.init.normal_(module.bias, std=0.2)
            elif hasattr(module, "relative_position_bias_table"):
                nn.init.normal_(module.relative_position_bias_table, std=0.5)
        htsat = network.base.htsat
        begun = nn.Sequential(htsat.spectrogram_extractor, htsat.logmel_extractor, _Bands(htsat.bn0))
        _fit(begun, htsat, clap._SAMPLE_RATE)
    return network.eval()


def _torchlibrosa():
    import torchlibrosa.augmentation
    import torchlibrosa.stft

    return {"torchlibrosa.stft": torchlibrosa.stft, "torchlibrosa.augmentation": torchlibrosa.augmentation}


class _Bands(nn.Module):
    def __init__(self, normalisation):
        super().__init__()
        self.normalisation = normalisation

    def forward(self, frames):
        return self.normalisation(frames.transpose(1, 3))


def _fit(passed, network, sample_rate):
    """Give the batch normalisations of `network` the statistics of noise, with some variation."""
    layers = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    with torch.no_grad():
        for layer in layers:
            nn.init.uniform_(layer.weight, 0.7, 1.3)
            nn.init.normal_(layer.bias, std=0.2)
            layer.momentum = 1.0
        loudness = torch.tensor([[0.3], [0.1], [0.01]])
        passed.train()(loudness * torch.randn(3, sample_rate).cumsum(1).sin())
        for layer in layers:
            layer.momentum = 0.1
            layer.running_mean += 0.2 * layer.running_var.sqrt() * torch.randn_like(layer.running_mean)
            layer.running_var *= torch.empty_like(layer.running_var).uniform_(0.7, 1.4)
