"""What a run folder begins with, and what it ends with: without torch."""

from pathlib import Path

from omegaconf import OmegaConf
from pytorch_lightning.utilities.rank_zero import rank_zero_only

from spinenet.errors import ConfigError
from spinenet.system.files import write_text
from spinenet.train.training_config import LearningConfig

LAST, BEST = "last.ckpt", "best.ckpt"


def exported_checkpoint(run: Path) -> Path:
    """The checkpoint of a run that its bundle is made of: the best epoch's, or the last of a run without validation."""
    best = run / "checkpoints" / BEST
    return best if best.is_file() else run / "checkpoints" / LAST


@rank_zero_only  # the other ranks find the file that the first has just written
def _refuse_used(out: Path) -> None:
    if (out / "config.yaml").is_file():
        raise ConfigError(f"{out}: holds a run already; choose another out=, or go on with it by resume=true")


def save_config(config: LearningConfig, out: Path) -> None:
    """Write the composed configuration, from which the run can be repeated, to ``out/config.yaml``.

    A run that is resumed keeps its settings, on which its learning-rate schedule rests. ConfigError where they differ,
    and where a new run would write over an old one.
    """
    path = out / "config.yaml"
    now = OmegaConf.structured(config)
    if not now.resume:
        _refuse_used(out)
    if now.resume and path.is_file():
        was = OmegaConf.load(path)
        changed = [key for key in now if key not in ("resume", "out") and was.get(key) != now[key]]
        if changed:
            raise ConfigError(
                f"{path}: {', '.join(changed)} changed since the run was started; resume it with the same settings, "
                "or start a new run from its weights with init="
            )
    out.mkdir(parents=True, exist_ok=True)
    write_text(path, OmegaConf.to_yaml(now))
