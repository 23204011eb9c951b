"""Weights in a bundle's networks, under the names that they have in training; without torch.

What ``export.write_onnx`` writes is marked by WEIGHTS_KEPT. Files of older versions are not: their norms are folded
into convolutions, and what a norm has seen cannot be told from them.
"""

import logging
import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spinenet.errors import ConfigError
from spinenet.model.bundle import Bundle, load_bundle

PACKAGED = "default"
"""Names the bundle in the package."""
WEIGHTS_KEPT = "weights"
"""Key of a file's metadata: every weight is there, as the network has it."""
HALF = "_half"
"""Ends the name of a weight that is stored in half precision."""
_log = logging.getLogger(__name__)
_NAME = re.compile(r"(?:m0_)?(?:network|members\.0)\.(.+)")
"""Of a network alone, or of the first of several."""


def names_bundle(init: str) -> bool:
    """Whether ``init`` is a bundle, and no checkpoint."""
    return init == PACKAGED or Path(init).is_dir() or Path(init).suffix == ".zip"


def bundle_weights(init: str, part: str) -> dict[str, NDArray[np.generic]]:
    """The weights of a bundle's network, of several that are joined in it those of the first.

    ConfigError where it has no such network, or one of an older version; BundleError where it cannot be opened.
    """
    import onnx  # what only evaluates has none
    from onnx import numpy_helper

    bundle = _opened(init)
    otherwise = f"name a bundle exported since, or a checkpoint, instead of init={init}"
    if part not in bundle.parts:
        raise ConfigError(f"{bundle.name} {bundle.version} has no {part}; {otherwise}")
    model = onnx.load_from_string(bundle.parts[part])
    if WEIGHTS_KEPT not in {one.key for one in model.metadata_props}:
        raise ConfigError(
            f"{part} of {bundle.name} {bundle.version}: exported by a version that folded norms away; {otherwise}"
        )
    found = [(one, _NAME.fullmatch(one.name)) for one in model.graph.initializer]
    return {name[1].removesuffix(HALF): numpy_helper.to_array(one) for one, name in found if name}


def name_of_start(init: str, judged_on: str) -> str:
    """Name and version of the bundle that a run starts from, with a warning where it has learnt from the data set that
    the run is to be judged on (empty: none)."""
    bundle = _opened(init)
    data = bundle.metadata.get("made_with", {}).get("recipe", {}).get("data", {})
    if judged_on and judged_on in {data.get("name"), *data.get("extra", ())}:
        _log.warning(
            "init=%s has learnt from %s: its patients cannot judge this run; take others, or learn from all of them "
            "by data.fold=-1 data.validation=0",
            init,
            judged_on,
        )
    return f"{bundle.name} {bundle.version}"


def _opened(init: str) -> Bundle:
    return load_bundle(None if init == PACKAGED else Path(init))
