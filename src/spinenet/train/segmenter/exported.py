"""An exported segmenter at work: ``segmenter.onnx`` of a run folder on crops of one series."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from spinenet.errors import ConfigError
from spinenet.locating.measuring.fine_crops import crop_axes, level_crop, normalised
from spinenet.study import LevelFrame, LocatedSeries

FILE = "segmenter.onnx"
Segment = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""(L, 1, H, W) normalised crops -> (L, C, H, W) probabilities of ``fine_crops.FINE_CLASSES``."""


def open_segmenter(run: Path) -> Segment:
    """The segmenter of a finished run; ConfigError where the folder has none."""
    try:
        content = (run / FILE).read_bytes()
    except OSError as error:
        raise ConfigError(f"{run}: not a finished run of spinenet train segmenter (no {FILE})") from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])

    def segment(crops_L1HW: NDArray[np.float32]) -> NDArray[np.float32]:
        (probabilities_LCHW,) = session.run(None, {"crops": crops_L1HW})
        return np.asarray(probabilities_LCHW, np.float32)

    return segment


def normalised_crops(located: LocatedSeries, frames: Sequence[LevelFrame]) -> NDArray[np.float32]:
    """(L, 1, H, W) of a series' midline slice at frames of its levels."""
    slice_RC = located.series.voxels_SRC[located.midline_slice]
    return np.stack([normalised(level_crop(slice_RC, crop_axes(located.series, frame)))[None] for frame in frames])
