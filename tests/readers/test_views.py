"""Views from physics first, then from names in the languages of the scanners' users."""

import pytest

from spinenet.labels import View
from spinenet.readers.records import Acquisition
from spinenet.readers.views import decide_view


@pytest.mark.parametrize(
    ("acquisition", "view"),
    [
        (Acquisition(tr_ms=600, te_ms=12), View.SAGITTAL_T1),
        (Acquisition(tr_ms=3500, te_ms=110), View.SAGITTAL_T2),
        (Acquisition(tr_ms=1300, te_ms=150, sequence="SE"), View.SAGITTAL_T2),  # 3-D turbo spin echo
        (Acquisition(tr_ms=4000, te_ms=45, ti_ms=160, sequence="IR"), View.SAGITTAL_STIR),
        (Acquisition(tr_ms=4000, te_ms=60, ti_ms=220, sequence="SE IR"), View.SAGITTAL_STIR),
        (Acquisition(tr_ms=4000, te_ms=60, sequence="SE IR"), View.SAGITTAL_STIR),
        (Acquisition(tr_ms=2200, te_ms=20, ti_ms=860, sequence="IR"), View.SAGITTAL_T1),  # T1 FLAIR
        (Acquisition(tr_ms=2500, te_ms=25), None),  # proton density
        (Acquisition(tr_ms=500, te_ms=15, sequence="GR"), None),
        (Acquisition(tr_ms=3500, te_ms=100, sequence="SE FS"), View.SAGITTAL_STIR),
        (Acquisition(tr_ms=600, te_ms=12, sequence="SE FS"), None),
        (Acquisition(tr_ms=3500, te_ms=100, image_type="DERIVED PRIMARY DIXON WATER"), View.SAGITTAL_STIR),
        (Acquisition(tr_ms=3500, te_ms=100, image_type="DERIVED PRIMARY DIXON FAT"), None),
        (Acquisition(tr_ms=3500, te_ms=100, image_type="DERIVED PRIMARY DIXON IN_PHASE"), View.SAGITTAL_T2),
        (Acquisition(), None),
    ],
)
def test_times_and_sequence_decide(acquisition, view):
    assert decide_view("sagittal", acquisition)[0] is view


def test_physics_outweighs_a_wrong_name():
    view, reason = decide_view("sagittal", Acquisition(tr_ms=600, te_ms=12, description="T2 TSE sag"))
    assert view is View.SAGITTAL_T1 and "its name says T2" in reason


def test_stir_named_t2_is_stir_by_its_inversion_time():
    acquisition = Acquisition(tr_ms=4000, te_ms=60, ti_ms=160, description="T2 sag")
    assert decide_view("sagittal", acquisition)[0] is View.SAGITTAL_STIR


@pytest.mark.parametrize(
    ("name", "view"),
    [
        ("T2_TSE_SAG_384", View.SAGITTAL_T2),
        ("t1_tse_sag_320", View.SAGITTAL_T1),
        ("sagT1", View.SAGITTAL_T1),
        ("t2_tirm_sag", View.SAGITTAL_STIR),
        ("SAG STIR", View.SAGITTAL_STIR),
        ("sagittale T2 lombaire", View.SAGITTAL_T2),
        ("Sagital ponderado em T2", View.SAGITTAL_T2),
        ("T2 sag Fettsättigung", View.SAGITTAL_STIR),
        ("T2 saturation de la graisse", View.SAGITTAL_STIR),
        ("T2 SAG con supresión grasa", View.SAGITTAL_STIR),
        ("Inversion récupération sagittale", View.SAGITTAL_STIR),
        ("T2 sag LWS", View.SAGITTAL_T2),
        ("T1 sag post Gd", None),
        ("T1 sag KM", None),
        ("t1_sag_nativ vor KM", View.SAGITTAL_T1),
        ("T1 sag mit Kontrastmittel", None),
        ("T1 injecté", None),
        ("T2 HWS sag", None),
        ("C-spine T2 sag", None),
        ("Localizer", None),
        ("3-pl survey", None),
        ("Lokalisator", None),
        ("DP sag", None),
        ("PD FS", None),
        ("T2* medic", None),
        ("DWI b800", None),
        ("part2", None),
        ("17", None),
    ],
)
def test_names_decide_where_times_are_missing(name, view):
    decided, reason = decide_view("sagittal", Acquisition(description=name))
    assert decided is view
    assert reason.startswith("Sagittal by orientation") and reason.endswith(".")


@pytest.mark.parametrize(
    ("plane", "name", "view"),
    [("axial", "T2", View.AXIAL_T2), ("axial", "T1", None), ("axial", "STIR", None), ("coronal", "T2", None)],
)
def test_planes_without_a_use_are_no_view(plane, name, view):
    assert decide_view(plane, Acquisition(description=name))[0] is view


def test_a_lumbar_name_outweighs_a_wrong_body_part():
    assert decide_view("sagittal", Acquisition(description="T2 L-Spine", body_part="CSPINE"))[0] is View.SAGITTAL_T2
    assert decide_view("sagittal", Acquisition(description="T2", body_part="CSPINE"))[0] is None


def test_contrast_agent_in_the_header_is_no_view():
    assert decide_view("sagittal", Acquisition(tr_ms=600, te_ms=12, contrast_agent=True))[0] is None
