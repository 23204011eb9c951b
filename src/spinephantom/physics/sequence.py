"""Protocols and the signal equations of fast spin echo and inversion recovery."""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from spinephantom.physics.tissue import FAT_T1_MS, FAT_T2_MS, Tissue


class Weighting(StrEnum):
    """What a sagittal series is made to show."""

    T1 = "t1"
    T2 = "t2"
    STIR = "stir"


@dataclass(frozen=True)
class Protocol:
    """How one series is acquired. Times in ms; matrix sizes are acquired points before zero filling."""

    weighting: Weighting
    field_t: float
    tr_ms: float
    te_ms: float
    ti_ms: float
    echo_train: int
    echo_spacing_ms: float
    bandwidth_hz: float
    """Per pixel."""
    acquired_fraction: tuple[float, float]
    """Acquired share of the matrix along frequency and phase encoding; the rest of k-space is zero."""
    phase_rows: bool
    """Phase encoding runs along the rows index (head to foot), as nearly always in sagittal spine series."""
    vendor: str
    model: str
    description: str

    @property
    def fat_shift_px(self) -> float:
        """Chemical shift of fat along frequency encoding."""
        return 147.0 * self.field_t / self.bandwidth_hz


@dataclass(frozen=True)
class PoolSignal:
    """Signal of pure water pool and pure fat pool of a tissue, and the tissue's fat fraction."""

    water: float
    fat: float
    fraction: float


_DESCRIPTIONS = {
    "SIEMENS": {
        Weighting.T1: ("t1_tse_sag", "SAG T1 TSE", "T1_TSE_SAG_384"),
        Weighting.T2: ("t2_tse_sag_384", "SAG T2 TSE", "t2_tse_sag"),
        Weighting.STIR: ("t2_tirm_sag", "t2_tirm_sag_384", "STIR SAG"),
    },
    "Philips Medical Systems": {
        Weighting.T1: ("T1W_TSE SAG", "T1_CS_TSE SAG", "sT1W_TSE"),
        Weighting.T2: ("T2W_TSE SAG", "T2_CS_TSE SAG", "sT2W_TSE"),
        Weighting.STIR: ("STIR_longTE", "STIR_TSE SAG", "sSTIR_TSE"),
    },
    "GE MEDICAL SYSTEMS": {
        Weighting.T1: ("SAG T1 FSE", "Sag T1", "SAG T1 FRFSE"),
        Weighting.T2: ("SAG T2 FRFSE", "Sag T2", "SAG T2 FSE"),
        Weighting.STIR: ("Sag STIR", "SAG STIR FSE", "SAG STIR"),
    },
    "Canon Medical Systems": {
        Weighting.T1: ("SAG T1", "FSE T1 SAG", "SAG T1W"),
        Weighting.T2: ("SAG T2", "FSE T2 SAG", "SAG T2W"),
        Weighting.STIR: ("SAG STIR", "FSE STIR SAG", "STIR SAG"),
    },
}
_AXIAL_DESCRIPTIONS = {
    "SIEMENS": ("t2_tse_tra_msma", "t2_tse_tra", "AX T2 TSE"),
    "Philips Medical Systems": ("T2W_TSE TRA", "sT2W_TSE_tra", "T2W_TSE ax"),
    "GE MEDICAL SYSTEMS": ("Ax T2 FSE", "O-Ax T2", "AX T2 FRFSE"),
    "Canon Medical Systems": ("AX T2 L1-S1", "FSE T2 AX", "AX T2"),
}
_MODELS = {
    "SIEMENS": {1.5: "Avanto_fit", 3.0: "Skyra_fit"},
    "Philips Medical Systems": {1.5: "Achieva", 3.0: "Ingenia"},
    "GE MEDICAL SYSTEMS": {1.5: "Signa HDxt", 3.0: "DISCOVERY MR750"},
    "Canon Medical Systems": {1.5: "Vantage Titan", 3.0: "Vantage Galan"},
}
# weighting -> ranges of TR, TE, echo train, acquired share along frequency and phase encoding
_RANGES = {
    Weighting.T1: ((420.0, 750.0), (8.0, 14.5), (2, 6), (0.70, 1.0), (0.55, 0.85)),
    Weighting.T2: ((2600.0, 4800.0), (85.0, 125.0), (12, 26), (0.70, 1.0), (0.55, 0.85)),
    Weighting.STIR: ((3200.0, 5500.0), (32.0, 72.0), (8, 18), (0.60, 0.9), (0.48, 0.75)),
}
_AXIAL_RANGES = ((3000.0, 6000.0), (85.0, 125.0), (12, 26), (0.62, 1.0), (0.5, 0.8))


@dataclass(frozen=True)
class Scanner:
    """The machine all series of a study come from."""

    vendor: str
    field_t: float


def sample_scanner(rng: np.random.Generator) -> Scanner:
    """A vendor and a field strength, 1.5 T in two thirds."""
    vendors = sorted(_MODELS)
    return Scanner(vendors[int(rng.integers(len(vendors)))], 1.5 if rng.random() < 0.65 else 3.0)


def sample_protocol(
    rng: np.random.Generator, scanner: Scanner, weighting: Weighting, *, axial: bool = False
) -> Protocol:
    """A protocol within the ranges in clinical use; independent of everything about the patient."""
    tr, te, train, frequency, phase = _AXIAL_RANGES if axial else _RANGES[weighting]
    inversion = (150.0, 175.0) if scanner.field_t < 2.0 else (200.0, 230.0)
    names = _AXIAL_DESCRIPTIONS[scanner.vendor] if axial else _DESCRIPTIONS[scanner.vendor][weighting]
    return Protocol(
        weighting=weighting,
        field_t=scanner.field_t,
        tr_ms=float(np.round(rng.uniform(*tr), 1)),
        te_ms=float(np.round(rng.uniform(*te), 1)),
        ti_ms=float(np.round(rng.uniform(*inversion), 1)) if weighting is Weighting.STIR else 0.0,
        echo_train=int(rng.integers(*train)),
        echo_spacing_ms=float(np.round(rng.uniform(8.0, 11.0), 2)),
        bandwidth_hz=float(np.round(rng.uniform(130.0, 300.0) * (1.5 if scanner.field_t > 2.0 else 1.0))),
        acquired_fraction=(float(rng.uniform(*frequency)), float(rng.uniform(*phase))),
        phase_rows=bool(rng.random() < (0.5 if axial else 0.85)),
        vendor=scanner.vendor,
        model=_MODELS[scanner.vendor][scanner.field_t],
        description=names[int(rng.integers(len(names)))],
    )


def _pool(protocol: Protocol, density: float, t1_ms: float, t2_ms: float) -> float:
    decay = np.exp(-protocol.te_ms / t2_ms)
    if protocol.weighting is Weighting.STIR:
        recovery = abs(1.0 - 2.0 * np.exp(-protocol.ti_ms / t1_ms) + np.exp(-protocol.tr_ms / t1_ms))
    else:
        free = protocol.tr_ms - 0.5 * protocol.echo_train * protocol.echo_spacing_ms
        recovery = 1.0 - np.exp(-free / t1_ms)
    return float(density * recovery * decay)


def tissue_signal(protocol: Protocol, tissue: Tissue) -> PoolSignal:
    """Signal of a tissue under a protocol; at 3 T T1 is longer and T2 a little shorter."""
    longer, shorter = (1.2, 0.95) if protocol.field_t > 2.0 else (1.0, 1.0)
    water = _pool(protocol, tissue.density, tissue.t1_ms * longer, tissue.t2_ms * shorter)
    fat = _pool(protocol, tissue.fat_density, FAT_T1_MS * (1.1 if longer > 1 else 1.0), FAT_T2_MS)
    return PoolSignal(water, fat, tissue.fat)


def random_signals(rng: np.random.Generator, tissues: dict[str, Tissue]) -> dict[str, PoolSignal]:
    """Grey values without physics, one for each tissue, for networks that must not rely on contrast; air stays dark."""
    values = rng.uniform(0.03, 1.0, (len(tissues), 2))
    signals = {
        name: PoolSignal(float(water), float(fat), tissue.fat)
        for (name, tissue), (water, fat) in zip(tissues.items(), values, strict=True)
    }
    return signals | {"air": PoolSignal(0.0, 0.0, 0.0)}


def signal(protocol: Protocol, tissue: Tissue) -> float:
    """Total signal: both pools by their share."""
    pools = tissue_signal(protocol, tissue)
    return (1.0 - pools.fraction) * pools.water + pools.fraction * pools.fat
