"""Views from physics first, then from names in the languages of the scanners' users."""

import pytest

from spinenet.labels import View
from spinenet.readers.sources import Acquisition
from spinenet.readers.views import decide_view
from spinenet.study import Basis


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
        (Acquisition(tr_ms=3500, te_ms=100, fat_suppressed=True), View.SAGITTAL_STIR),
        (Acquisition(tr_ms=4000, te_ms=50, ti_ms=90, field_t=0.3), View.SAGITTAL_STIR),
        (Acquisition(tr_ms=4000, te_ms=50, sequence="*tir2d1_14"), View.SAGITTAL_STIR),
        (Acquisition(tr_ms=2200, te_ms=10, sequence="SE IR"), None),  # T1 FLAIR or STIR: only the image knows
        (Acquisition(tr_ms=9000, te_ms=110, ti_ms=2500, sequence="IR"), None),  # darkens fluid
        (Acquisition(tr_ms=9000, te_ms=900), None),  # myelography
        (Acquisition(tr_ms=2000, te_ms=90, echo_train=180), None),  # single shot
        (Acquisition(tr_ms=1500, te_ms=130, echo_train=110, sequence="SE 3D"), View.SAGITTAL_T2),
        (Acquisition(tr_ms=3500, te_ms=100, image_type="DERIVED PRIMARY DIXON WATER"), View.SAGITTAL_STIR),
        (Acquisition(tr_ms=3500, te_ms=100, image_type="DERIVED PRIMARY DIXON FAT"), None),
        (Acquisition(tr_ms=3500, te_ms=100, image_type="DERIVED SECONDARY SUB"), None),
        (Acquisition(tr_ms=3500, te_ms=100, description="sub-01_acq-sag_T2w"), View.SAGITTAL_T2),
        (Acquisition(tr_ms=3500, te_ms=100, image_type="DERIVED PRIMARY DIXON IN_PHASE"), View.SAGITTAL_T2),
        (Acquisition(), None),
    ],
)
def test_times_and_sequence_decide(acquisition, view):
    assert decide_view("sagittal", acquisition).view is view


def test_physics_outweighs_a_wrong_name():
    decision = decide_view("sagittal", Acquisition(tr_ms=600, te_ms=12, description="T2 TSE sag"))
    assert decision.view is View.SAGITTAL_T1 and "its name says T2" in decision.reason


def test_stir_named_t2_is_stir_by_its_inversion_time():
    acquisition = Acquisition(tr_ms=4000, te_ms=60, ti_ms=160, description="T2 sag")
    assert decide_view("sagittal", acquisition).view is View.SAGITTAL_STIR


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
        ("矢状位 T2WI 腰椎", View.SAGITTAL_T2),
        ("Т2 саг поясничный отдел", View.SAGITTAL_T2),
        ("T2 矢状断 脂肪抑制", View.SAGITTAL_STIR),
        ("Т2 с подавлением жира", View.SAGITTAL_STIR),
        ("T2 SAG supressão de gordura", View.SAGITTAL_STIR),
        ("T1 矢状 造影後", None),
        ("Т1 саг с контрастом", None),
        ("T2 sag шейный отдел", None),
        ("颈椎 T2 矢状", None),
        ("T2 sag BWS", None),
        ("sag T2 FSE", View.SAGITTAL_T2),
        ("T2FS sag", View.SAGITTAL_STIR),
        ("ST 腰椎 定位像 T2", None),
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
    decision = decide_view("sagittal", Acquisition(description=name))
    assert decision.view is view
    assert decision.reason.startswith("Sagittal by orientation") and decision.reason.endswith(".")


@pytest.mark.parametrize(
    ("plane", "name", "view"),
    [("axial", "T2", View.AXIAL_T2), ("axial", "T1", None), ("axial", "STIR", None), ("coronal", "T2", None)],
)
def test_planes_without_a_use_are_no_view(plane, name, view):
    assert decide_view(plane, Acquisition(description=name)).view is view


def test_a_lumbar_name_outweighs_a_wrong_body_part():
    assert decide_view("sagittal", Acquisition(description="T2 L-Spine", body_part="CSPINE")).view is View.SAGITTAL_T2
    assert decide_view("sagittal", Acquisition(description="T2", body_part="CSPINE")).view is None


def test_contrast_agent_in_the_header_is_no_view():
    assert decide_view("sagittal", Acquisition(tr_ms=600, te_ms=12, contrast_agent=True)).view is None


@pytest.mark.parametrize(
    ("acquisition", "basis"),
    [
        (Acquisition(tr_ms=600, te_ms=12), Basis.PHYSICS),
        (Acquisition(description="T1 sag"), Basis.NAME),
        (Acquisition(description="sag"), Basis.UNDECIDED),
        (Acquisition(te_ms=12), Basis.UNDECIDED),
        (Acquisition(tr_ms=2500, te_ms=25), Basis.EXCLUDED),
        (Acquisition(description="PD sag"), Basis.EXCLUDED),
        (Acquisition(description="Localizer"), Basis.EXCLUDED),
        (Acquisition(description="localizer", wanted=View.SAGITTAL_T2), Basis.USER),
    ],
)
def test_only_what_nothing_speaks_for_or_against_is_left_to_the_image(acquisition, basis):
    assert decide_view("sagittal", acquisition).basis is basis


def test_a_picture_with_text_in_it_is_used_only_where_a_user_asks_for_it():
    written = Acquisition(tr_ms=3500, te_ms=110, burnt_in=True)
    assert decide_view("sagittal", written).view is None and "text burnt" in decide_view("sagittal", written).reason
    asked = Acquisition(tr_ms=3500, te_ms=110, burnt_in=True, wanted=View.SAGITTAL_T2)
    assert decide_view("sagittal", asked).view is View.SAGITTAL_T2
