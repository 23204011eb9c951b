"""Contrast of the tissue table under typical protocols: what a radiologist expects to be bright and dark."""

from dataclasses import replace

import numpy as np
import pytest

from spinephantom.physics.sequence import Protocol, Weighting, sample_protocol, sample_scanner, signal
from spinephantom.physics.tissue import TABLE, nucleus


def protocol(weighting: Weighting, tr_ms: float, te_ms: float, ti_ms: float = 0.0) -> Protocol:
    typical = sample_protocol(np.random.default_rng(0), sample_scanner(np.random.default_rng(0)), weighting)
    return replace(typical, field_t=1.5, tr_ms=tr_ms, te_ms=te_ms, ti_ms=ti_ms, echo_train=10)


T2 = protocol(Weighting.T2, 3500.0, 100.0)
T1 = replace(protocol(Weighting.T1, 550.0, 10.0), echo_train=3)
STIR = protocol(Weighting.STIR, 4200.0, 55.0, 165.0)


@pytest.mark.parametrize(
    ("series", "tissue", "reference", "low", "high"),
    [
        (T2, "muscle", "csf", 0.10, 0.25),
        (T2, "marrow", "csf", 0.35, 0.60),
        (T2, "fat", "csf", 0.60, 1.10),
        (T1, "csf", "fat", 0.10, 0.25),
        (T1, "nucleus", "marrow", 0.30, 1.00),
        (STIR, "fat", "csf", 0.00, 0.20),
        (STIR, "modic_1", "marrow", 1.80, 4.00),
        (T1, "modic_1", "marrow", 0.40, 0.90),
        (T1, "modic_2", "marrow", 1.15, 1.70),
        (T2, "modic_3", "marrow", 0.00, 0.30),
    ],
)
def test_tissue_contrast_is_that_of_the_clinic(
    series: Protocol, tissue: str, reference: str, low: float, high: float
) -> None:
    assert low < signal(series, TABLE[tissue]) / signal(series, TABLE[reference]) < high


def test_a_drier_nucleus_is_darker_on_t2() -> None:
    signals = [signal(T2, nucleus(t2_ms)) for t2_ms in (200.0, 130.0, 86.0, 55.0, 36.0)]
    assert signals == sorted(signals, reverse=True)
    assert signals[0] > 5 * signals[-1]


@pytest.mark.parametrize("weighting", list(Weighting))
def test_sampled_protocols_keep_csf_bright_or_dark(weighting: Weighting) -> None:
    rng = np.random.default_rng(1)
    ratios = []
    for _ in range(40):
        sampled = sample_protocol(rng, sample_scanner(rng), weighting)
        ratios.append(signal(sampled, TABLE["csf"]) / signal(sampled, TABLE["muscle"]))
    assert (max(ratios) < 1.0) if weighting is Weighting.T1 else (min(ratios) > 1.8)
