"""Protocols and the signal equations of fast spin echo and inversion recovery."""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from spinephantom.data import Interval, record, rows
from spinephantom.physics.tissue import FAT, Tissue


class Weighting(StrEnum):
    """What a sagittal series is made to show."""

    T1 = "t1"
    T2 = "t2"
    STIR = "stir"
    FAT_SATURATED = "fat_saturated"
    """T2 after a pulse that leaves little of the signal of fat."""


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
    fat_left: float = 1.0
    """Share of the signal of fat that is not suppressed before the excitation."""

    @property
    def fat_shift_px(self) -> float:
        """Chemical shift of fat along frequency encoding."""
        return FAT.shift_hz_per_tesla * self.field_t / self.bandwidth_hz


@dataclass(frozen=True)
class PoolSignal:
    """Signal of pure water pool and pure fat pool of a tissue, and the tissue's fat fraction."""

    water: float
    fat: float
    fraction: float


@dataclass(frozen=True)
class Ranges:
    """Between what the protocols of one kind of series lie; ``frequency`` and ``phase`` are acquired shares."""

    tr_ms: Interval
    te_ms: Interval
    echo_train: tuple[int, int]
    frequency: Interval
    phase: Interval


@dataclass(frozen=True)
class Vendor:
    """Models at 1.5 and 3 T, and descriptions of series."""

    models: tuple[str, str]
    t1: tuple[str, ...]
    t2: tuple[str, ...]
    stir: tuple[str, ...]
    fat_saturated: tuple[str, ...]
    axial: tuple[str, ...]


@dataclass(frozen=True)
class Practice:
    """What protocols have in common."""

    share_1_5_tesla: float
    inversion_ms_1_5_tesla: Interval
    inversion_ms_3_tesla: Interval
    fat_saturated: float
    fat_left: Interval
    echo_spacing_ms: Interval
    bandwidth_hz: Interval
    bandwidth_at_3_tesla: float
    phase_rows_sagittal: float
    phase_rows_axial: float


@dataclass(frozen=True)
class StrongField:
    """Relaxation times at 3 T relative to 1.5 T."""

    water_t1: float
    water_t2: float
    fat_t1: float


RANGES = rows(Ranges, "protocols", "series")
VENDORS = rows(Vendor, "protocols", "vendors")
PRACTICE = record(Practice, "protocols", "scanner")
_AT_3_TESLA = record(StrongField, "tissues", "at_3_tesla")


@dataclass(frozen=True)
class Scanner:
    """The machine all series of a study come from."""

    vendor: str
    field_t: float


def sample_scanner(rng: np.random.Generator) -> Scanner:
    """A vendor and a field strength, 1.5 T in two thirds."""
    vendors = sorted(VENDORS)
    vendor = vendors[int(rng.integers(len(vendors)))]
    return Scanner(vendor, 1.5 if rng.random() < PRACTICE.share_1_5_tesla else 3.0)


def sample_protocol(
    rng: np.random.Generator, scanner: Scanner, weighting: Weighting, *, axial: bool = False
) -> Protocol:
    """A protocol within the ranges in clinical use; independent of everything about the patient."""
    ranges, vendor, strong = RANGES["axial" if axial else weighting], VENDORS[scanner.vendor], scanner.field_t > 2.0
    inversion = PRACTICE.inversion_ms_3_tesla if strong else PRACTICE.inversion_ms_1_5_tesla
    names: tuple[str, ...] = getattr(vendor, "axial" if axial else weighting)
    return Protocol(
        weighting=weighting,
        field_t=scanner.field_t,
        tr_ms=float(np.round(ranges.tr_ms.draw(rng), 1)),
        te_ms=float(np.round(ranges.te_ms.draw(rng), 1)),
        ti_ms=float(np.round(inversion.draw(rng), 1)) if weighting is Weighting.STIR else 0.0,
        echo_train=int(rng.integers(*ranges.echo_train)),
        echo_spacing_ms=float(np.round(PRACTICE.echo_spacing_ms.draw(rng), 2)),
        bandwidth_hz=float(
            np.round(PRACTICE.bandwidth_hz.draw(rng) * (PRACTICE.bandwidth_at_3_tesla if strong else 1.0))
        ),
        acquired_fraction=(ranges.frequency.draw(rng), ranges.phase.draw(rng)),
        phase_rows=bool(rng.random() < (PRACTICE.phase_rows_axial if axial else PRACTICE.phase_rows_sagittal)),
        vendor=scanner.vendor,
        model=vendor.models[int(strong)],
        description=names[int(rng.integers(len(names)))],
        fat_left=PRACTICE.fat_left.draw(rng) if weighting is Weighting.FAT_SATURATED else 1.0,
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
    field = _AT_3_TESLA if protocol.field_t > 2.0 else StrongField(1.0, 1.0, 1.0)
    water = _pool(protocol, tissue.density, tissue.t1_ms * field.water_t1, tissue.t2_ms * field.water_t2)
    fat = _pool(protocol, tissue.fat_density, FAT.t1_ms * field.fat_t1, FAT.t2_ms)
    return PoolSignal(water, protocol.fat_left * fat, tissue.fat)


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
