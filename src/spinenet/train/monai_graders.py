"""A trained grader or disc network as a MONAI bundle: the network with its weights, which grades prepared crops.

The network and what cuts the crops are spinenet's, so that a bundle names the version that it needs. ``crops/`` beside
it holds a file a study, as its README says, and its inference writes the probabilities of every grade.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from spinenet import __version__
from spinenet.crops import BAG_ARRAYS, DISC_ARRAYS, CropSpec
from spinenet.errors import ConfigError
from spinenet.labels import LEVELS, RESEARCH_ONLY, TARGET, TARGET_INDEX, VIEWS
from spinenet.train.baselines import build_grader
from spinenet.train.discs.disc_config import TrainDiscsConfig
from spinenet.train.discs.disc_run import build_network
from spinenet.train.export_config import ExportConfig
from spinenet.train.export_summary import refuse_other_kinds
from spinenet.train.monai_bundle import export_locator_bundle, origin_of, write_monai
from spinenet.train.run_folder import exported_checkpoint
from spinenet.train.runs import grader_config, read_json
from spinenet.train.weights import load_trained, not_learnt

INDEX_ARRAYS = ("view_LS", "level_L")
FLAG_ARRAYS = ("mirrored_LS", "mask_LS")
GREY = [-0.5, 1.5]
RANGES = {"crops_LSHW": GREY, "crops_LVHW": GREY, "tissue_LS3": GREY, "offset_LS": [-50, 50]}
RANGES |= {"view_LS": [0, len(VIEWS) - 1], "level_L": [0, len(LEVELS) - 1]}
"""Array -> what its values lie between; flags between 0 and 1."""


def export_monai(config: ExportConfig) -> Path:
    """Write ``out/monai`` of the one run that is named; ConfigError where it is no finished run of that training."""
    refuse_other_kinds(config)
    facts, out = {**config.facts, "version": config.version}, Path(config.out)
    if config.locator:
        return export_locator_bundle(Path(config.locator), out, facts)
    if config.graders:
        return export_grader_bundle(Path(config.graders[0]), out, facts)
    return export_disc_bundle(Path(config.discs[0]), out, facts)


def export_grader_bundle(run: Path, out: Path, facts: Mapping[str, str]) -> Path:
    """Write ``out/monai`` from a finished run of ``train grader``. ``facts`` are the data, its licence, and the
    bundle's version."""
    config = grader_config(run)
    learnt = _learnt(run, "grader")
    network = build_grader(config.model)
    load_trained(network, exported_checkpoint(run), not_learnt(learnt["evidence"]))
    places = {name: [TARGET_INDEX[name], len(TARGET[name].grades)] for name in learnt["evidence"]}
    definition = {
        "_target_": "spinenet.train.baselines.build_grader",
        "model": {"_target_": "spinenet.train.training_config.GraderModelConfig", **asdict(config.model)},
    }
    answer = "{name: answer[0][0, :, at, :grades].exp() for name, (at, grades) in @targets.items()}"
    inference = inference_of(definition, BAG_ARRAYS, answer, config.crop)
    inference["targets"] = places
    metadata = metadata_of("grader", facts, [*places], BAG_ARRAYS, config.crop)
    readme = _readme(metadata, "build_bag", "build_bag(located, spec).inputs()", learnt["evidence"])
    return write_monai(out, network.state_dict(), metadata, inference, readme, facts["licence"])


def export_disc_bundle(run: Path, out: Path, facts: Mapping[str, str]) -> Path:
    """The same from a finished run of ``train discs``."""
    learnt = _learnt(run, "discs")
    composed = OmegaConf.merge(OmegaConf.structured(TrainDiscsConfig), OmegaConf.load(run / "config.yaml"))
    config: TrainDiscsConfig = OmegaConf.to_object(composed)  # type: ignore[assignment]
    network = build_network(config.model, config.crop, learnt["raters"])
    load_trained(network, exported_checkpoint(run))
    model = {name: value for name, value in asdict(config.model).items() if name != "weights"}
    definition = {
        "_target_": "spinenet.train.discs.network.DiscNetwork",
        "spec": {"_target_": "spinenet.crops.CropSpec", **config.crop.to_dict()},
        "raters": learnt["raters"],
        **model,
    }
    answer = "{target: one.exp() for target, one in answer.items()}"
    inference = inference_of(definition, DISC_ARRAYS, answer, config.crop)
    metadata = metadata_of("disc network", facts, [*learnt["raters"]], DISC_ARRAYS, config.crop)
    readme = _readme(metadata, "disc_views", "disc_views(located, spec)[0].inputs()", learnt["evidence"])
    return write_monai(out, network.state_dict(), metadata, inference, readme, facts["licence"])


def _learnt(run: Path, training: str) -> dict[str, Any]:
    if not (run / "learnt.json").is_file():
        raise ConfigError(f"{run}: not a finished run of spinenet train {training} (no learnt.json)")
    return read_json(run / "learnt.json", f"learnt.json of spinenet train {training}")


def metadata_of(
    name: str, facts: Mapping[str, str], targets: Sequence[str], arrays: Sequence[str], spec: CropSpec
) -> dict[str, Any]:
    """The content of ``metadata.json``: every array that goes in and every target's probabilities that come out."""
    graded = {"type": "probabilities", "format": "classification", "dtype": "float32", "value_range": [0.0, 1.0]}
    return {
        **origin_of(facts),
        "required_packages_version": {"spinenet-mri": __version__},
        "name": f"spinenet {name}",
        "task": "Grading of lumbar discs in MRI",
        "description": f"The {name} of spinenet {__version__}, on crops of {spec.rows} x {spec.columns} pixels",
        "data_type": "npz",
        "image_classes": "crops of located discs on the grey scale of their series, and what is known of each",
        "pred_classes": "probabilities of the grades of " + ", ".join(targets),
        "network_data_format": {
            "inputs": {array: _input(array, spec) for array in arrays},
            "outputs": {
                target: {
                    **graded,
                    "num_channels": len(TARGET[target].grades),
                    "spatial_shape": ["n"],
                    "is_patch_data": False,
                    "channel_def": {str(grade): words for grade, words in enumerate(TARGET[target].grades)},
                }
                for target in targets
            },
        },
    }


def _input(array: str, spec: CropSpec) -> dict[str, Any]:
    """What the schema asks to be said of a tensor; letters at the end of ``array`` are its shape."""
    is_image = array.startswith("crops")
    dtype = "int64" if array in INDEX_ARRAYS else "bool" if array in FLAG_ARRAYS else "float32"
    return {
        "type": "image" if is_image else "feature",
        "format": "magnitude" if is_image else "feature",
        "modality": "MR",
        "num_channels": 1,
        "spatial_shape": ["n", "n", spec.rows, spec.columns] if is_image else ["n"] * len(array.rpartition("_")[2]),
        "dtype": dtype,
        "value_range": RANGES.get(array, [0, 1]),
        "is_patch_data": is_image,
        "channel_def": {"0": array},
    }


def inference_of(definition: Mapping[str, Any], arrays: Sequence[str], answer: str, spec: CropSpec) -> dict[str, Any]:
    """The content of ``inference.json``: probabilities for every file in ``crops/``, a file each in ``predictions/``.

    ``answer`` is the expression that makes tensors by target of what the network says, ``answer`` in it.
    """
    said = "[(one, @ready(*[torch.as_tensor(np.load(one)[name]).to(@device) for name in @inputs])) for one in @crops]"
    saved = f"**{{target: grades.detach().cpu().numpy() for target, grades in ({answer}).items()}}"
    return {
        "imports": ["$import glob", "$import os", "$import numpy as np"],
        "bundle_root": ".",
        "crops": "$sorted(glob.glob(@bundle_root + '/crops/*.npz'))",
        "output_dir": "$@bundle_root + '/predictions'",
        "device": "$torch.device('cuda' if torch.cuda.is_available() else 'cpu')",
        "crop": spec.to_dict(),
        "inputs": list(arrays),
        "network_def": dict(definition),
        "network": "$@network_def.to(@device).eval()",
        "weights": "$@network.load_state_dict(torch.load(@bundle_root + '/models/model.pt', map_location=@device))",
        "ready": "$(@weights, @network)[1]",
        "answers": f"${said}",
        "run": [
            "$os.makedirs(@output_dir, exist_ok=True)",
            f"$[np.savez(os.path.join(@output_dir, os.path.basename(one)), {saved}) for one, answer in @answers]",
        ],
    }


README = """# {name}

{task}.

> {use}

Learnt from: {data}

{learnt}

Probabilities are not calibrated; a bundle of spinenet itself has calibration, gates and reports beside them.

```
pip install 'spinenet-mri[train]=={version}' 'monai[fire]'
```

A file a study in `crops/`:

```python
import json
from pathlib import Path

import numpy as np

from spinenet.crops import CropSpec, {cutting}
from spinenet.model.bundle import load_bundle
from spinenet.predict import locate
from spinenet.readers import find_studies, read_study

spec = CropSpec(**json.loads(Path("configs/inference.json").read_text())["crop"])
Path("crops").mkdir(exist_ok=True)
for source in find_studies([Path("STUDIES")]):
    located = locate(read_study(source), load_bundle(None)).series
    np.savez(f"crops/{{source.key}}.npz", **{arrays})
```

Then

```
python -m monai.bundle run --config_file configs/inference.json --meta_file configs/metadata.json --bundle_root .
```

writes a file a study to `predictions/`: of each target an array with a row a level (`level_L` of the crops) and a
column a grade.
"""


def _readme(metadata: Mapping[str, Any], cutting: str, arrays: str, evidence: Mapping[str, str]) -> str:
    from_whom = {"real": "patients", "synthetic": "synthetic studies alone"}
    return README.format(
        name=metadata["name"],
        task=metadata["task"],
        use=RESEARCH_ONLY,
        data=metadata["data_source"],
        learnt="\n".join(f"- {name}: {from_whom[kind]}" for name, kind in evidence.items()),
        version=__version__,
        cutting=cutting,
        arrays=arrays,
    )
