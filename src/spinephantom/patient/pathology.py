"""What can be wrong with a disc and its neighbours, as parameters of geometry and tissue."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

from spinenet.errors import ConfigError

N_DISCS = 10
"""L5/S1 up to T8/T9: as many as the label space names; the field of view decides which are seen."""
LUMBAR_DISCS = 5
"""L5/S1 up to L1/L2: where stenosis is measured and graded."""


class Mode(StrEnum):
    """Whose spines they are: patients sent to MRI as RSNA 2024 graded them, every grade often, or the population."""

    RSNA = "rsna"
    BALANCED = "balanced"
    SCREENING = "screening"


def modes_named(names: Iterable[str]) -> list[Mode]:
    """The modes of these names; ConfigError for a name that is none."""
    names = list(names)
    if unknown := [name for name in names if name not in list(Mode)]:
        raise ConfigError(f"modes: {', '.join(unknown)} is none of {', '.join(Mode)}")
    return [Mode(name) for name in names]


@dataclass(frozen=True)
class DiscState:
    """Parameters of one disc and its neighbours; u lateral (+ left), v antero-posterior (+ back), w along the spine.

    ``*_fraction`` are shares of the disc's half axes, pairs ``*_lr`` are (left, right).
    """

    nucleus_t2_ms: float = 180.0
    height_ratio: float = 1.0
    bulge_mm: float = 0.0
    bulge_skew: float = 0.0
    """Share of the bulge that leans to the left (negative: right)."""
    herniation_mm: float = 0.0
    herniation_u_mm: float = 0.0
    herniation_width_mm: float = 6.0
    extruded: bool = False
    migration_mm: float = 0.0
    herniation_t2_ms: float = 62.0
    slip_mm: float = 0.0
    """Forward shift of the upper body; negative is backward."""
    flavum_mm_lr: tuple[float, float] = (3.0, 3.0)
    facet_scale_lr: tuple[float, float] = (1.0, 1.0)
    osteophyte_mm: float = 0.0
    schmorl_above_mm: float = 0.0
    schmorl_below_mm: float = 0.0
    schmorl_above_at: tuple[float, float] = (0.0, 0.0)
    schmorl_below_at: tuple[float, float] = (0.0, 0.0)
    """Where the node sits, (u_fraction, v_fraction)."""
    schmorl_width: float = 1.2
    """Length of the node along the end-plate relative to its own radius."""
    modic_type: int = 0
    modic_above_mm: float = 0.0
    modic_below_mm: float = 0.0
    modic_span: tuple[float, float] = (-1.0, 1.0)
    """Front and back end of the altered marrow as v_fraction."""
    fissure_mm: float = 0.0
    facet_angle_deg_lr: tuple[float, float] = (0.0, 0.0)
    """Turn of the joint away from the level's usual angle; positive is more coronal."""
    facet_fluid_mm_lr: tuple[float, float] = (0.0, 0.0)
    facet_cyst_mm_lr: tuple[float, float] = (0.0, 0.0)
    """Diameter of a round synovial cyst at the inner edge of the joint."""
    bulge_second: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Added to the bulge towards the left foramen, in the middle and towards the right foramen, mm."""
    sequestered: bool = False
    """The herniated fragment has lost its connection with the disc."""
    superior_process_mm_lr: tuple[float, float] = (0.0, 0.0)
    """Growth of the superior articular process into the foramen."""
    foraminal_osteophyte_mm_lr: tuple[float, float] = (0.0, 0.0)
    gas: float = 0.0
    """Share of the nucleus that is gas (vacuum), 0 to 1."""
    isthmic: bool = False
    """The slip comes from a gap in the pars: the arch above stays behind."""
    laminectomy: float = 0.0
    """Share of the laminae taken away, by its sign on the left (+) or right (-); 1 and -1 are both sides."""
    fused: bool = False
    """Screws in both bodies and bone between them."""


def mirrored_state(state: DiscState) -> DiscState:
    """The same disc seen in a mirror: left and right change places."""

    def swap(at: tuple[float, float]) -> tuple[float, float]:
        return (-at[0], at[1])

    return replace(
        state,
        bulge_skew=-state.bulge_skew,
        herniation_u_mm=-state.herniation_u_mm,
        flavum_mm_lr=state.flavum_mm_lr[::-1],
        facet_scale_lr=state.facet_scale_lr[::-1],
        facet_angle_deg_lr=state.facet_angle_deg_lr[::-1],
        facet_fluid_mm_lr=state.facet_fluid_mm_lr[::-1],
        facet_cyst_mm_lr=state.facet_cyst_mm_lr[::-1],
        bulge_second=state.bulge_second[::-1],
        superior_process_mm_lr=state.superior_process_mm_lr[::-1],
        foraminal_osteophyte_mm_lr=state.foraminal_osteophyte_mm_lr[::-1],
        laminectomy=-state.laminectomy,
        schmorl_above_at=swap(state.schmorl_above_at),
        schmorl_below_at=swap(state.schmorl_below_at),
    )
