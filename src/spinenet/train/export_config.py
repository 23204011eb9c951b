"""Configuration of ``spinenet export``, and the only place its defaults are written."""

from dataclasses import dataclass, field

from spinenet.train.training_config import MISSING

SPINENET, MONAI = FORMATS = ("spinenet", "monai")


@dataclass
class ExportConfig:
    """``spinenet export``."""

    out: str = MISSING
    """Folder that gets ``bundle/``, and the configuration and split of the first grader."""
    format: str = SPINENET
    """spinenet: a bundle that grades; monai: one network alone, of ``locator``, ``graders`` or ``discs``, as a bundle
    of MONAI's Model Zoo, in ``monai/``."""
    start: str | None = None
    """Bundle that gives what no run is named for, ``default`` for the one in the package. Its grader, or the one of
    ``graders``, has the targets that ``discs`` and ``measured`` have not learnt from patients."""
    graders: list[str] = field(default_factory=list)
    """Run folders of ``train grader`` on one split; several are averaged in one network."""
    locator: str | None = None
    """Run folder of ``train locator``; beside ``start`` its locator takes the place of that bundle's."""
    segmenter: str | None = None
    """Run folder of ``train segmenter``: the bundle measures discs."""
    sac: str | None = None
    """Run folder of ``train segmenter experiment=sac``: the bundle measures the dural sac in axial slices."""
    measured: str | None = None
    """Run folder of ``train measured``: measurements have a say in the grades that it has learnt."""
    discs: list[str] = field(default_factory=list)
    """Run folders of ``train discs`` on one split, joined in one network: pictures of discs have a say in the grades
    that they have learnt."""
    calibration: list[str] = field(default_factory=list)
    """``calibration.json`` of evaluations: each target is calibrated as in the first where it could be fitted."""
    metrics: str | None = None
    """``metrics.json`` of an evaluation, kept in the bundle for the model card."""
    name: str = "spinenet-run"
    """Name of the model."""
    version: str = "0"
    """Version of the model."""
    facts: dict[str, str] = field(
        default_factory=lambda: {"data": "see config.yaml of the runs", "licence": "see the training data"}
    )
    """Sections of the model card (``model.card.SECTIONS``)."""
    learnt_from: dict[str, str] = field(default_factory=dict)
    """Target name -> what its grades were learnt from, in words."""

    def __post_init__(self) -> None:
        if self.format not in FORMATS:
            raise ValueError(f"format is {self.format}; choose one of {', '.join(FORMATS)}")
        if self.format == MONAI and len([*self.graders, *self.discs, *filter(None, [self.locator])]) != 1:
            raise ValueError("format=monai exports one network: name locator=RUN, graders=[RUN] or discs=[RUN]")
