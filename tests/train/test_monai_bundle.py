"""Networks as bundles of MONAI: by MONAI's own tools they are such, and the networks are those of the runs."""

import json
import re

import numpy as np
import pytest
import torch
from monai.bundle import ConfigParser, verify_net_in_out

from spinenet.crops import BAG_ARRAYS, DISC_ARRAYS, CropSpec, build_bag, disc_views
from spinenet.errors import ConfigError
from spinenet.labels import RESEARCH_ONLY, TARGET_INDEX
from spinenet.train.baselines import build_grader
from spinenet.train.discs.disc_config import DiscModelConfig, TrainDiscsConfig
from spinenet.train.discs.disc_run import build_network
from spinenet.train.export_config import ExportConfig
from spinenet.train.monai_bundle import export_locator_bundle
from spinenet.train.monai_graders import export_monai
from spinenet.train.networks import Locator
from spinenet.train.run_folder import save_config
from spinenet.train.training_config import (
    GraderModelConfig,
    LocatorModelConfig,
    TrainGraderConfig,
    TrainLocatorConfig,
)

FACTS = {"data": "phantoms", "licence": "CC0", "version": "1.2.0"}
NEEDED = {"schema", "version", "monai_version", "pytorch_version", "numpy_version", "required_packages_version"}
NEEDED |= {"task", "description", "authors", "copyright", "network_data_format"}
"""Of metadata.json, by MONAI's schema of 2024."""
OF_A_TENSOR = {"type", "format", "num_channels", "spatial_shape", "dtype", "value_range"}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A finished run of a small locator, and its network."""
    folder = tmp_path_factory.mktemp("locator")
    torch.manual_seed(0)
    network = Locator(3).eval()
    save_config(TrainLocatorConfig(model=LocatorModelConfig(width=3)), folder)
    (folder / "checkpoints").mkdir()
    state = {f"network.{name}": value for name, value in network.state_dict().items()}
    torch.save({"state_dict": state}, folder / "checkpoints" / "last.ckpt")
    return folder, network


@pytest.fixture
def bundle(run, tmp_path):
    return export_locator_bundle(run[0], tmp_path, FACTS)


def test_the_metadata_has_what_monai_asks_for(bundle):
    metadata = json.loads((bundle / "configs" / "metadata.json").read_text())
    assert set(metadata) >= NEEDED and metadata["intended_use"] == RESEARCH_ONLY
    places = metadata["network_data_format"]
    assert all(set(places[side][name]) >= OF_A_TENSOR for side, name in (("inputs", "image"), ("outputs", "pred")))
    assert all(re.fullmatch(r"[\d.]+", metadata[f"{name}_version"]) for name in ("monai", "pytorch", "numpy"))


def test_monai_finds_the_network_as_the_metadata_says(run, bundle):
    """MONAI raises where shapes or types are not those of the metadata."""
    said = json.loads((bundle / "configs" / "metadata.json").read_text())["network_data_format"]["outputs"]["pred"]
    assert said["num_channels"] == run[1](torch.rand(1, 1, 64, 48)).shape[1]
    verify_net_in_out(
        "network_def",
        meta_file=str(bundle / "configs" / "metadata.json"),
        config_file=str(bundle / "configs" / "inference.json"),
        device="cpu",
        n=4,
    )


def test_the_network_of_the_bundle_is_the_locator(run, bundle):
    parser = ConfigParser()
    parser.read_config(str(bundle / "configs" / "inference.json"))
    parser["bundle_root"], parser["device"] = str(bundle), "$torch.device('cpu')"
    parser.get_parsed_content("weights")
    network, image = parser.get_parsed_content("network"), torch.rand(2, 1, 64, 48)
    with torch.no_grad():
        assert torch.equal(network(image), run[1](image))


def test_the_bundle_prepares_and_segments_a_volume_by_monai_alone(bundle, tmp_path):
    import nibabel

    rng = np.random.default_rng(0)
    affine = np.array([[0, 0, 4.0, 0], [0, -0.9, 0, 0], [-0.8, 0, 0, 0], [0, 0, 0, 1.0]])
    nibabel.save(nibabel.Nifti1Image(rng.random((120, 90, 5), np.float32), affine), tmp_path / "p.nii.gz")
    parser = ConfigParser()
    parser.read_config(str(bundle / "configs" / "inference.json"))
    parser["bundle_root"], parser["device"] = str(bundle), "$torch.device('cpu')"
    parser["images"] = [str(tmp_path / "p.nii.gz")]
    (batch,) = parser.get_parsed_content("dataloader")
    assert batch["image"].shape == (1, 1, 5, 80, 80)  # 120 x 0.8 and 90 x 0.9 mm at 1.25 mm, padded to sixteens
    assert batch["image"].min() >= 0 and batch["image"].max() <= 1.2
    with torch.no_grad():
        pred = parser.get_parsed_content("inferer")(batch["image"], parser.get_parsed_content("network"))
    assert pred.shape == (1, 5, 5, 80, 80)


def test_what_is_no_run_of_a_locator_is_one_line(tmp_path):
    with pytest.raises(ConfigError, match=re.escape(f"{tmp_path}: not a finished run of spinenet train locator")):
        export_locator_bundle(tmp_path, tmp_path / "out", FACTS)
    with pytest.raises(ValueError, match="format=monai exports one network: name locator=RUN, graders="):
        ExportConfig(format="monai")
    with pytest.raises(ConfigError, match=re.escape(f"{tmp_path}: not a finished run of spinenet train discs")):
        export_monai(ExportConfig(out=str(tmp_path), format="monai", discs=[str(tmp_path)]))


def saved_run(folder, config, network, learnt):
    """A finished run of a network that has hardly learnt."""
    save_config(config, folder)
    (folder / "checkpoints").mkdir()
    state = {f"network.{name}": value for name, value in network.state_dict().items()}
    torch.save({"state_dict": state}, folder / "checkpoints" / "last.ckpt")
    (folder / "learnt.json").write_text(json.dumps(learnt))
    return folder


def probabilities_by_monai(bundle, arrays):
    """What ``run`` of the bundle's inference writes for one study's crops."""
    (bundle / "crops").mkdir()
    np.savez(bundle / "crops" / "1.npz", **arrays)
    parser = ConfigParser()
    parser.read_config(str(bundle / "configs" / "inference.json"))
    parser["bundle_root"], parser["device"] = str(bundle), "$torch.device('cpu')"
    parser.get_parsed_content("run")
    with np.load(bundle / "predictions" / "1.npz") as stored:
        return dict(stored)


def test_a_grader_of_the_model_zoo_gives_the_probabilities_of_what_it_has_learnt(tmp_path, located, spec):
    config = TrainGraderConfig(model=GraderModelConfig(width=2, features=16), crop=spec)
    network = build_grader(config.model).eval()
    evidence = {"bulging": "real", "canal_stenosis": "synthetic"}
    run = saved_run(tmp_path / "run", config, network, {"evidence": evidence, "views": ["sagittal_t2"]})
    bundle = export_monai(ExportConfig(out=str(tmp_path), format="monai", graders=[str(run)], facts=FACTS))
    arrays = build_bag(located, spec).inputs()
    said = probabilities_by_monai(bundle, arrays)
    with torch.no_grad():
        logp = network(*[torch.as_tensor(arrays[name]) for name in BAG_ARRAYS])[0][0]
    assert set(said) == set(evidence)
    np.testing.assert_allclose(said["bulging"], logp[:, TARGET_INDEX["bulging"], :2].exp(), atol=1e-6)
    check_metadata(bundle, BAG_ARRAYS, evidence)
    assert "canal_stenosis: synthetic studies alone" in (bundle / "docs" / "README.md").read_text()


def test_so_does_a_disc_network(tmp_path, located):
    spec = CropSpec(rows=64, columns=64, pixel_mm=1.0)
    model = DiscModelConfig(encoder="small", weights="random", width=8)
    config = TrainDiscsConfig(model=model, crop=spec)
    raters = {"pfirrmann": ("spider", "sudirman"), "narrowing": ("spider",)}
    network = build_network(model, spec, raters).eval()
    learnt = {"evidence": dict.fromkeys(raters, "real"), "raters": raters, "views": []}
    run = saved_run(tmp_path / "run", config, network, learnt)
    bundle = export_monai(ExportConfig(out=str(tmp_path), format="monai", discs=[str(run)], facts=FACTS))
    arrays = disc_views(located, spec)[0].inputs()
    said = probabilities_by_monai(bundle, arrays)
    with torch.no_grad():
        logp = network(*[torch.as_tensor(arrays[name]) for name in DISC_ARRAYS])
    for name in raters:
        np.testing.assert_allclose(said[name], logp[name].exp(), atol=1e-6)
    check_metadata(bundle, DISC_ARRAYS, raters)


def check_metadata(bundle, arrays, targets):
    metadata = json.loads((bundle / "configs" / "metadata.json").read_text())
    assert set(metadata) >= NEEDED and metadata["intended_use"] == RESEARCH_ONLY
    places = metadata["network_data_format"]
    assert set(places["inputs"]) == set(arrays) and set(places["outputs"]) == set(targets)
    assert all(set(one) >= OF_A_TENSOR for side in places.values() for one in side.values())
