"""Weights of trained networks by their names: read from a checkpoint or bundle, and given to a network as far as they
fit.

Heads and queries bear the names of what they answer, so a checkpoint of another label space gives each target its own
weights or none. Runs from before heads had names numbered them; the bundle that such a run exported tells the order.
"""

import json
import logging
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError

import torch
from torch import Tensor, nn

from spinenet.errors import ConfigError, in_words
from spinenet.labels import TARGET, TARGETS
from spinenet.train.exported_weights import bundle_weights, names_bundle

Weights = Mapping[str, Tensor]

_log = logging.getLogger(__name__)
_COUNT = ".num_batches_tracked"
"""Of a norm: a count that no result depends on, which a bundle leaves out."""
_NUMBERED = re.compile(r"heads\.(\d+)\.(.*)")
KINDS = {
    "unet.": "a locator",
    "downs.": "a segmenter",
    "encoder.stages.": "a disc network",
    "pooling.queries": "a grader (model=grader)",
    "pooling.": "a grader (model=grader_mean)",
    "encoder.layer1.": "a grader (model=grader_resnet18_3d)",
    "encoder.19.": "a grader (model=grader_resnet34_3d)",
}
"""How a name begins that weights of one kind of network alone have -> that kind; the first that is there tells."""


@dataclass(frozen=True)
class WeightTransfer:
    """Names of weights: taken over, left as they were because the source lacks them (``left``) or has them in another
    size (``resized``), and those of the source that the network has no place for (``unused``)."""

    taken: tuple[str, ...]
    left: tuple[str, ...]
    resized: tuple[str, ...]
    unused: tuple[str, ...]

    def __str__(self) -> str:
        said = [f"{len(self.taken)} weights taken"]
        for words, names in (
            ("missing there", self.left),
            ("of another size there", self.resized),
            ("not in this network", self.unused),
        ):
            if names:
                modules = dict.fromkeys(name.removesuffix(".bias").removesuffix(".weight") for name in names)
                said.append(f"{words}: {', '.join(modules)}")
        return "; ".join(said)


def trained_weights(path: Path, prefix: str = "network.") -> dict[str, Tensor]:
    """Weights of the network in a checkpoint, averaged where the run averaged; ConfigError if unreadable."""
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)["state_dict"]
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({in_words(error)})") from error
    except (EOFError, LookupError, TypeError, ValueError, RuntimeError, UnpicklingError) as error:
        raise ConfigError(f"{path}: not a checkpoint of spinenet train, such as RUN/checkpoints/best.ckpt") from error
    weights = {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
    return _named(weights, path) if any(map(_NUMBERED.match, weights)) else weights


def start_from(network: nn.Module, init: str, part: str) -> WeightTransfer:
    """Give a network those weights of another run, or of this part of a bundle, that have its names and sizes, and say
    which.

    An older network lends its encoder to a newer one; ConfigError where less than half of the weights fit.
    """
    weights, own = _weights_of(init, part), network.state_dict()
    taken = _give(network, weights)
    if 2 * sum(own[name].numel() for name in taken.taken) < sum(one.numel() for one in own.values()):
        refuse_other_kind(init, weights, network)
        raise ConfigError(f"{init}: a network of another size; give model= the size of that run ({taken})")
    _say(init, taken)
    return taken


def _weights_of(init: str, part: str) -> dict[str, Tensor]:
    if not names_bundle(init):
        return trained_weights(Path(init))
    return {name: torch.tensor(value) for name, value in bundle_weights(init, part).items()}


def load_trained(network: nn.Module, checkpoint: Path, not_learnt: Collection[str] = ()) -> WeightTransfer:
    """Give a network its weights from a checkpoint of its own kind and size.

    Only what answers the targets or conditions ``not_learnt`` may be missing there; ConfigError where more is.
    """
    weights = trained_weights(checkpoint)
    taken = _give(network, weights)
    missing = [name for name in taken.left if not set(name.split(".")) & set(not_learnt)]
    if missing or taken.resized:
        refuse_other_kind(str(checkpoint), weights, network)
        raise ConfigError(f"{checkpoint}: not the network that the run's config.yaml names ({taken})")
    _say(str(checkpoint), taken)
    return taken


def kind_of(names: Collection[str]) -> str:
    """Which kind of network has weights of these names, in words."""
    return next(
        (kind for start, kind in KINDS.items() if any(name.startswith(start) for name in names)),
        "no network of spinenet",
    )


def refuse_other_kind(source: str, weights: Weights, network: nn.Module) -> None:
    """ConfigError where the weights are those of another kind of network."""
    found, wanted = kind_of(weights), kind_of(network.state_dict())
    if found != wanted:
        raise ConfigError(f"{source}: holds {found}, and what is to have its weights is {wanted}")


def not_learnt(evidence: Collection[str]) -> set[str]:
    """Targets and conditions of the label space of which a run with this evidence has learnt nothing."""
    learnt = {TARGET[name].condition for name in evidence} | set(evidence)
    return {name for target in TARGETS for name in (target.name, target.condition)} - learnt


def _give(network: nn.Module, weights: Weights) -> WeightTransfer:
    own, constants = network.state_dict(), dict(network.named_buffers())
    fitting = {name: one for name, one in weights.items() if name in own and one.shape == own[name].shape}
    network.load_state_dict({**own, **fitting})
    return WeightTransfer(
        taken=tuple(fitting),
        left=tuple(name for name in own if name not in weights and not name.endswith(_COUNT)),
        resized=tuple(name for name in own if name in weights and name not in fitting),
        unused=tuple(name for name in weights if name not in own and name not in constants),
    )


def _say(source: str, taken: WeightTransfer) -> None:
    partly = taken.left or taken.resized or taken.unused
    _log.log(logging.WARNING if partly else logging.INFO, "%s: %s", source, taken)


def _named(weights: Weights, path: Path) -> dict[str, Tensor]:
    """The weights of a run whose heads are numbered, under the names of what they answer."""
    targets = _targets_of_run(path)
    questions = list(dict.fromkeys(TARGET[name].condition for name in targets))
    heads = 1 + max(int(found[1]) for name in weights if (found := _NUMBERED.match(name)))
    if heads not in (len(targets), len(questions)):
        raise ConfigError(f"{path}: {heads} numbered heads, but the run's bundle has {len(targets)} targets")
    named: dict[str, Tensor] = {}
    for name, value in weights.items():
        if found := _NUMBERED.match(name):
            answered = (targets if heads == len(targets) else questions)[int(found[1])]
            named[f"heads.{answered}.{found[2]}"] = value
        elif name == "pooling.queries":
            named |= _by_question("pooling.queries.{}", questions, value)
        elif name.startswith("pooling.values.") and "pooling.queries" not in weights:
            parts = value.unflatten(0, (len(questions), -1))
            named |= _by_question(f"pooling.answers.{{}}.{name.rpartition('.')[2]}", questions, parts)
        elif name != "as_it_is_T":
            named[name] = value
    return named


def _by_question(pattern: str, questions: Iterable[str], values: Iterable[Tensor]) -> dict[str, Tensor]:
    return {pattern.format(question): value for question, value in zip(questions, values, strict=True)}


def _targets_of_run(path: Path) -> list[str]:
    """Names of the targets of an older run in its order, from the bundle that it exported."""
    bundle = path.parent.parent / "bundle" / "model.json"
    try:
        targets = list(json.loads(bundle.read_text(encoding="utf-8"))["label_space"]["targets"])
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise ConfigError(
            f"{path}: its heads are numbered, and without {bundle} nothing says which targets they grade; "
            "put the bundle that this run exported there, or train again"
        ) from error
    unknown = [name for name in targets if name not in TARGET]
    if unknown:
        raise ConfigError(f"{path}: numbered heads of targets that are not in the label space: {', '.join(unknown)}")
    return targets
