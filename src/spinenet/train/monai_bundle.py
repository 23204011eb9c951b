"""A trained locator as a MONAI bundle, for the Model Zoo and programs that read it: MONAI's own network and transforms.

docs.monai.io says what a bundle holds: configs/metadata.json and inference.json, models/model.pt, docs/. Nothing of
spinenet is needed to run one. It segments; names of levels and grades are made of that by spinenet alone.
"""

import json
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from omegaconf import OmegaConf

from spinenet import __version__
from spinenet.errors import ConfigError
from spinenet.labels import RESEARCH_ONLY
from spinenet.locating.discs import LOCATOR_CLASSES, PIXEL_MM, SIZE_MULTIPLE
from spinenet.system.files import replacing, write_text
from spinenet.train.networks import Locator, unet_features
from spinenet.train.run_folder import exported_checkpoint
from spinenet.train.training_config import TrainLocatorConfig
from spinenet.train.weights import load_trained

SCHEMA = "https://github.com/Project-MONAI/MONAI-extra-test-data/releases/download/0.8.1/meta_schema_20240725.json"
IGNITE = "0.4.11"
"""Least version of what MONAI runs bundles with; spinenet does not need it."""


def export_locator_bundle(run: Path, out: Path, facts: Mapping[str, str]) -> Path:
    """Write ``out/monai`` from a finished run of ``train locator``; ConfigError where it is none. ``facts`` are the
    data, its licence, and the bundle's version."""
    try:
        composed = OmegaConf.merge(OmegaConf.structured(TrainLocatorConfig), OmegaConf.load(run / "config.yaml"))
        config: TrainLocatorConfig = OmegaConf.to_object(composed)  # type: ignore[assignment]
    except OSError as error:
        raise ConfigError(f"{run}: not a finished run of spinenet train locator (no config.yaml)") from error
    network = Locator(config.model.width)
    load_trained(network, exported_checkpoint(run))
    metadata = metadata_of(facts)
    return write_monai(
        out, network.unet.state_dict(), metadata, inference_of(config.model.width), _readme(metadata), facts["licence"]
    )


def write_monai(
    out: Path,
    weights: Mapping[str, torch.Tensor],
    metadata: Mapping[str, Any],
    inference: Mapping[str, Any],
    readme: str,
    licence: str,
) -> Path:
    """Write the files of a bundle of MONAI to ``out/monai``."""
    folder = out / "monai"
    for part in ("configs", "models", "docs"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    with replacing(folder / "models" / "model.pt") as partial:
        torch.save(dict(weights), partial)
    for name, content in {"metadata.json": metadata, "inference.json": inference}.items():
        write_text(folder / "configs" / name, json.dumps(content, indent=1) + "\n")
    write_text(folder / "docs" / "README.md", readme)
    write_text(folder / "docs" / "license.txt", f"Weights: {licence}\nData: {metadata['data_source']}\n")
    return folder


def origin_of(facts: Mapping[str, str]) -> dict[str, Any]:
    """What ``metadata.json`` says of every network of ours: versions, authors, data and use."""
    return {
        "schema": SCHEMA,
        "version": facts["version"],
        "changelog": {facts["version"]: "exported by spinenet"},
        "monai_version": version("monai"),
        "pytorch_version": version("torch").partition("+")[0],
        "numpy_version": version("numpy"),
        "authors": "the authors of spinenet",
        "copyright": "the authors of spinenet, Apache-2.0",
        "data_source": facts["data"],
        "intended_use": RESEARCH_ONLY,
    }


def metadata_of(facts: Mapping[str, str]) -> dict[str, Any]:
    """The content of ``metadata.json``, which MONAI's schema at SCHEMA describes."""
    classes = {str(index): name for index, name in enumerate(LOCATOR_CLASSES)}
    tensor = {"type": "image", "spatial_shape": [f"{SIZE_MULTIPLE}*n", f"{SIZE_MULTIPLE}*n"], "dtype": "float32"}
    image = {"format": "magnitude", "modality": "MR", "num_channels": 1, "value_range": [0.0, 1.2]}
    answer = {"format": "segmentation", "num_channels": len(LOCATOR_CLASSES), "value_range": [0.0, 1.0]}
    return {
        **origin_of(facts),
        "required_packages_version": {"nibabel": version("nibabel"), "pytorch-ignite": IGNITE},
        "name": "spinenet locator",
        "task": "Segmentation of discs, vertebrae and spinal canal in sagittal lumbar spine MRI",
        "description": f"The locator of spinenet {__version__}, a 2-D U-Net on slices of {PIXEL_MM} mm pixels",
        "data_type": "nibabel",
        "image_classes": "one sagittal slice, 0 and 1 its 1st and 99.5th percentile",
        "pred_classes": "probabilities of " + ", ".join(LOCATOR_CLASSES),
        "network_data_format": {
            "inputs": {"image": {**tensor, **image, "is_patch_data": False, "channel_def": {"0": "image"}}},
            "outputs": {"pred": {**tensor, **answer, "is_patch_data": False, "channel_def": classes}},
        },
    }


def inference_of(width: int) -> dict[str, Any]:
    """The content of ``inference.json``: a label image for every file that ``images`` names, slice by slice."""
    save = {"keys": "pred", "output_dir": "@output_dir", "output_postfix": "seg", "separate_folder": False}
    return {
        "imports": ["$import glob"],
        "bundle_root": ".",
        "images": "$sorted(glob.glob(@bundle_root + '/images/*.nii.gz'))",
        "output_dir": "$@bundle_root + '/predictions'",
        "device": "$torch.device('cuda' if torch.cuda.is_available() else 'cpu')",
        "network_def": {
            "_target_": "BasicUNet",
            "spatial_dims": 2,
            "in_channels": 1,
            "out_channels": len(LOCATOR_CLASSES),
            "features": list(unet_features(width)),
            "norm": ["batch", {}],
            "act": ["relu", {"inplace": True}],
            "upsample": "nontrainable",
        },
        "network": "$@network_def.to(@device).eval()",
        "weights": "$@network.load_state_dict(torch.load(@bundle_root + '/models/model.pt', map_location=@device))",
        "preprocessing": {"_target_": "Compose", "transforms": _preprocessing()},
        "dataset": {
            "_target_": "Dataset",
            "data": "$[{'image': one} for one in @images]",
            "transform": "@preprocessing",
        },
        "dataloader": {"_target_": "DataLoader", "dataset": "@dataset", "batch_size": 1},
        "inferer": {"_target_": "SliceInferer", "roi_size": [-1, -1], "spatial_dim": 0, "sw_batch_size": 4},
        "postprocessing": {
            "_target_": "Compose",
            "transforms": [
                {"_target_": "AsDiscreted", "keys": "pred", "argmax": True},
                {"_target_": "SaveImaged", **save},
            ],
        },
        "evaluator": {
            "_target_": "SupervisedEvaluator",
            "device": "@device",
            "val_data_loader": "@dataloader",
            "network": "@network",
            "inferer": "@inferer",
            "postprocessing": "@postprocessing",
        },
        "run": ["$@weights", "$@evaluator.run()"],
    }


def _preprocessing() -> list[dict[str, Any]]:
    """Slices from the left, rows downwards, columns backwards, at PIXEL_MM, with grey values of 0 to 1.2."""
    spacing = {"pixdim": [-1.0, PIXEL_MM, PIXEL_MM], "mode": "bilinear"}
    scale = {"lower": 1, "upper": 99.5, "b_min": 0, "b_max": 1, "channel_wise": True}
    return [
        {"_target_": "LoadImaged", "keys": "image", "ensure_channel_first": True},
        {"_target_": "Orientationd", "keys": "image", "axcodes": "LIP", "labels": None},
        {"_target_": "Spacingd", "keys": "image", **spacing},
        {"_target_": "ScaleIntensityRangePercentilesd", "keys": "image", **scale},
        {"_target_": "ThresholdIntensityd", "keys": "image", "threshold": 0.0, "cval": 0.0},
        {"_target_": "ThresholdIntensityd", "keys": "image", "threshold": 1.2, "above": False, "cval": 1.2},
        {"_target_": "DivisiblePadd", "keys": "image", "k": [1, SIZE_MULTIPLE, SIZE_MULTIPLE], "method": "end"},
    ]


def _readme(metadata: Mapping[str, Any]) -> str:
    classes = ", ".join(LOCATOR_CLASSES)
    return (
        f"# {metadata['name']}\n\n{metadata['task']}: {classes}.\n\n> {RESEARCH_ONLY}\n\n"
        f"Learnt from: {metadata['data_source']}\n\n"
        "```\npip install 'monai[nibabel,ignite,fire]'\n"
        "python -m monai.bundle run --config_file configs/inference.json --meta_file configs/metadata.json \\\n"
        "  --bundle_root . --images \"['patient_t2.nii.gz']\"\n```\n\n"
        "Label images lie in `predictions/`. Grey values are scaled a volume here and a slice in spinenet.\n"
    )
