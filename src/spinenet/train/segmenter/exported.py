"""An exported segmenter at work: ``segmenter.onnx`` or ``sac.onnx`` of a run folder."""

from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from spinenet.errors import ConfigError
from spinenet.locating.measuring.series import Outline
from spinenet.model.bundle import SEGMENTER


def open_segmenter(run: Path, part: str = SEGMENTER) -> Outline:
    """The segmenter of a finished run of ``train segmenter``; ConfigError where the folder has none."""
    try:
        content = (run / part).read_bytes()
    except OSError as error:
        raise ConfigError(f"{run}: not a finished run of spinenet train segmenter (no {part})") from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])

    def outline(crops_LHW: NDArray[np.float32]) -> NDArray[np.float32]:
        (probabilities_LCHW,) = session.run(None, {"crops": crops_LHW[:, None]})
        return np.asarray(probabilities_LCHW, np.float32)

    return outline
