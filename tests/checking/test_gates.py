"""What may not be graded is refused, what is doubtful flagged, each with its reason, and the rest is left alone."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import uniform_filter1d

from spinenet.checking.gates import DOUBTFUL_NAMES, NOT_LOOKED_FOR, check
from spinenet.checking.quality import (
    FIGURES,
    REFUSE_FACTOR,
    UsualSeries,
    figures_of,
    fit_usual,
    share_in_view,
)
from spinenet.crops import CropSpec
from spinenet.labels import LEVELS, TARGET, View
from spinenet.locating.discs import DISC_BELOW
from spinenet.study import Basis, LevelFrame, LocatedSeries, Note, Scope, Series, Severity, Study, StudyLevels

SPEC = CropSpec()
VIEW = View.SAGITTAL_T2


def frame(index, *, depth_mm=34.0, height_mm=9.0, confidence=0.96, step_mm=35.0):
    posterior, superior = np.array([0.0, 1.0, 0.0]), np.array([0.0, 0.0, 1.0])
    center_mm = np.array([0.0, 100.0, 40.0 + step_mm * index])
    return LevelFrame(LEVELS[index], center_mm, posterior, superior, depth_mm, height_mm, confidence)


def turned(index, slope_deg):
    """A disc that rises to the back by so many degrees."""
    along, across = np.cos(np.radians(slope_deg)), np.sin(np.radians(slope_deg))
    posterior, superior = np.array([0.0, along, across]), np.array([0.0, -across, along])
    return replace(frame(index), posterior=posterior, superior=superior)


def located(frames=None, *, name="t2", noise=1.0, size=(1, 260, 220), **more):
    """A slice of bright canal, grey bodies and dark discs in 1 mm pixels, head at row 0."""
    affine = np.array([[4.0, 0, 0, 0], [0, 0, 1.0, 0], [0, -1.0, 0, 250.0], [0, 0, 0, 1.0]])
    columns, rows = np.arange(size[2]), np.arange(size[1])
    image = np.where((columns > 122) & (columns < 140), 95.0, 40.0)[None] * np.ones((size[1], 1))
    image = np.where(((rows % 35 < 8)[:, None]) & (columns < 122)[None], 10.0, image)
    voxels = np.random.default_rng(0).normal(image, noise, size).astype(np.float32)
    series = Series(name, voxels, affine, "sagittal", VIEW, "Told by physics.")
    reference = np.array([5.0, 100.0, 40.0, 95.0, 10.0], np.float32)
    return LocatedSeries(series, tuple(frames or map(frame, range(5))), 0, reference, **more)


def reference_around(one, flag=5.0):
    figures_F = figures_of(one).figures_F
    return UsualSeries(figures_F, np.eye(len(FIGURES)) * 100.0, flag, 100)


def checked(*series, references=None, **study):
    whole = Study("17", tuple(one.series for one in series), **study)
    return check(StudyLevels(whole, series), SPEC, references or {VIEW: reference_around(located())})


def refused(code, *series, **more):
    """Nothing of the study may be graded, and the reason in words."""
    result = checked(*series, **more)
    assert result.series == () and code in codes(result.flags, Severity.REFUSE)
    return result.refusal


def codes(flags, severity):
    return [flag.code for flag in flags if flag.severity is severity]


def test_a_usual_study_is_graded_and_says_what_was_not_looked_for():
    result = checked(located())
    assert [len(one.frames) for one in result.series] == [5]
    assert codes(result.flags, Severity.REFUSE) == codes(result.flags, Severity.FLAG) == []
    assert NOT_LOOKED_FOR in [flag.text for flag in result.flags] and result.refusal == ""
    assert result.cautioned == frozenset()


@pytest.mark.parametrize(("age", "is_child"), [(17.9, True), (18.0, False), (None, False)])
def test_patients_under_18_are_refused(age, is_child):
    if not is_child:
        assert checked(located(), age_years=age).series
        return
    assert "under 18" in refused("under_age", located(), age_years=age)
    assert "not_looked_for" in codes(checked(located(), age_years=age).flags, Severity.NOTE)


@pytest.mark.parametrize("change", [{"depth_mm": 12.0}, {"depth_mm": 80.0}, {"step_mm": 10.0}])
def test_a_spine_of_impossible_size_is_refused(change):
    frames = [frame(index, **change) for index in range(5)]
    assert "is the pixel spacing right" in refused("implausible_size", located(frames))


def test_a_disc_twice_as_deep_as_its_neighbours_makes_no_spine():
    frames = [frame(index, depth_mm=75.0 if index == 2 else 34.0) for index in range(5)]
    assert "34 to 75 mm in depth make no spine" in refused("implausible_shape", located(frames))


def test_pixels_too_coarse_for_a_disc_are_refused():
    one = located()
    coarse = replace(one.series, affine_vox2mm=one.series.affine_vox2mm @ np.diag([1.0, 2.5, 2.5, 1.0]))
    assert "t2: pixels of 2.5 mm are too coarse" in refused("coarse", replace(one, series=coarse))


def test_few_levels_are_flagged():
    result = checked(located([frame(index) for index in range(4)]))
    assert codes(result.flags, Severity.FLAG) == ["few_levels"]


@pytest.mark.parametrize(
    "signs",
    [
        {"notes": (Note(DISC_BELOW, Scope.SERIES, "t2", "in whatever words"),)},
        {"frames": [frame(0, depth_mm=22.0, height_mm=4.0), *map(frame, range(1, 5))]},
        {"certainty": 0.6, "frames": [frame(0, depth_mm=27.0), *map(frame, range(1, 5))]},
        {"certainty": 0.3},
        {"frames": [frame(0), *map(frame, range(2, 6))]},
        {"frames": [turned(0, 50.0), turned(1, 28.0), *map(frame, range(2, 6))]},
    ],
)
def test_where_level_names_are_doubtful_no_grade_of_the_study_is_stood_by(signs):
    one = located(**signs)
    result = checked(one)
    (flag,) = [flag for flag in result.flags if flag.severity is Severity.FLAG]
    assert flag.code == DOUBTFUL_NAMES and flag.scope is Scope.STUDY
    assert "may be one off" in flag.text and "check the numbering against a whole-spine or localizer image" in flag.text
    assert result.cautioned == {each.level for each in one.frames}


@pytest.mark.parametrize("slopes_deg", [(50.0, 15.0), (40.0, 28.0)])
def test_a_steep_sacrum_or_a_strong_lordosis_alone_does_not_make_names_doubtful(slopes_deg):
    frames = [*(turned(index, slope) for index, slope in enumerate(slopes_deg)), *map(frame, range(2, 6))]
    assert codes(checked(located(frames)).flags, Severity.FLAG) == []


def test_one_series_that_shows_the_sacrum_clearly_is_enough():
    result = checked(located(certainty=0.3), located(name="t1", certainty=0.9))
    assert codes(result.flags, Severity.FLAG) == []


def test_a_worn_lowest_disc_as_deep_as_the_others_is_no_other_disc():
    assert codes(checked(located(certainty=0.5)).flags, Severity.FLAG) == []


def test_a_disc_that_one_series_passes_over_and_another_shows_is_no_gap():
    passed = located([frame(0), *map(frame, range(2, 6))])
    assert codes(checked(passed, located(name="t1", certainty=0.7)).flags, Severity.FLAG) == []
    assert codes(checked(passed, located([frame(0), *map(frame, range(2, 6))], name="t1")).flags, Severity.FLAG)


def test_a_disc_missed_higher_up_does_not_make_names_doubtful():
    result = checked(located([*map(frame, range(3)), *map(frame, range(4, 6))]))
    assert codes(result.flags, Severity.FLAG) == []


def test_a_thin_lowest_disc_of_full_depth_is_worn_not_transitional():
    frames = [frame(0, height_mm=4.0), *map(frame, range(1, 5))]
    assert codes(checked(located(frames)).flags, Severity.FLAG) == []


def test_a_series_of_little_but_noise_is_refused_and_the_others_go_on():
    result = checked(located(), located(name="noisy", noise=60.0))
    assert [one.series.name for one in result.series] == ["t2"]
    assert ("low_signal", "noisy") in [(flag.code, flag.subject) for flag in result.flags]
    reason = refused("low_signal", located(name="noisy", noise=60.0))
    assert reason.startswith("noisy: ") and "too little signal" in reason


def test_what_looks_unlike_real_series_is_flagged_and_far_beyond_refused():
    one = located()
    dark, bright, body, canal, disc = one.reference
    odd = replace(one, reference=np.array([dark, bright, canal, body, disc], np.float32))
    distance = reference_around(one).distance(figures_of(odd).figures_F)
    near = checked(odd, references={VIEW: reference_around(one, distance / 1.5)})
    assert codes(near.flags, Severity.FLAG) == ["unlike_training"]
    assert near.cautioned == {frame.level for frame in odd.frames}  # no sound series shows them
    reason = refused("unlike_training", odd, references={VIEW: reference_around(one, distance / (2 * REFUSE_FACTOR))})
    assert "most of all by marrow" in reason or "most of all by fluid" in reason


def test_a_strong_artefact_is_flagged_and_only_a_sound_series_clears_its_levels(monkeypatch):
    monkeypatch.setattr("spinenet.checking.artefacts.artefact_figures", lambda one: np.array([0.4, 0.0, 0.0]))
    references = {VIEW: replace(reference_around(located()), artefact_flags=(0.2, 0.02, 0.1))}
    result = checked(located(), references=references)
    assert codes(result.flags, Severity.FLAG) == ["artefact"]
    assert any(str(flag).startswith("t2: displaced copies") for flag in result.flags)
    assert result.cautioned == {frame.level for frame in located().frames}
    assert codes(checked(located()).flags, Severity.FLAG) == []  # a bundle from before artefacts were looked for


def test_a_view_without_real_series_is_noted_not_judged():
    result = check(StudyLevels(Study("17", (located().series,)), (located(),)), SPEC, {})
    assert "not_compared" in codes(result.flags, Severity.NOTE)


def test_a_level_at_the_edge_of_the_image_is_refused_unless_another_series_shows_it():
    cut = located(name="cut", size=(1, 195, 220))  # the lowest disc lies in row 210
    alone = checked(cut)
    assert "cut_off" in codes(alone.flags, Severity.REFUSE)
    (refused,) = [flag.subject for flag in alone.flags if flag.severity is Severity.REFUSE]
    assert refused not in {frame.level for one in alone.series for frame in one.frames}
    both = checked(cut, located())
    assert codes(both.flags, Severity.REFUSE) == []
    assert refused in {frame.level for one in both.series for frame in one.frames}


def axial(*, noise=1.0, columns=160, reference=(0.0, 100.0, 50.0, 90.0, 20.0)):
    """Three slices of 1 mm pixels through L5/S1 and above: a bright canal behind a dark disc."""
    affine = np.array([[0, 0, 1.0, -columns / 2], [0, 1.0, 0, 40.0], [4.0, 0, 0, 36.0], [0, 0, 0, 1.0]])
    rows = np.arange(160)[:, None] * np.ones(columns)
    image = np.where((rows > 80) & (rows < 95), 90.0, 20.0 + 30.0 * (rows > 95))
    voxels = np.random.default_rng(0).normal(image, noise, (3, 160, columns)).astype(np.float32)
    series = Series("ax", voxels, affine, "axial", View.AXIAL_T2, "Told by physics.")
    return LocatedSeries(series, (frame(0),), 1, np.array(reference, np.float32))


def test_an_axial_series_of_little_but_noise_is_refused_and_the_sagittal_goes_on():
    good, noisy = checked(located(), axial()), checked(located(), axial(noise=80.0))
    assert [one.series.name for one in good.series] == ["t2", "ax"]
    assert [one.series.name for one in noisy.series] == ["t2"]
    assert ("low_signal", "ax") in [(flag.code, flag.subject) for flag in noisy.flags]


def test_an_axial_level_cut_by_the_edge_is_left_to_the_sagittal_series():
    narrow = axial(columns=24)
    assert share_in_view(narrow, narrow.frames[0], SPEC) < 0.5 < share_in_view(axial(), frame(0), SPEC)
    result = checked(located(), narrow)
    assert [one.series.name for one in result.series] == ["t2"]
    assert ("cut_off", "L5/S1", Severity.NOTE) in [(flag.code, flag.subject, flag.severity) for flag in result.flags]
    assert result.cautioned == frozenset()


@pytest.mark.parametrize(("name", "doubted"), [("herniation", True), ("spondylolisthesis", True), ("narrowing", False)])
def test_without_t2_no_grade_is_stood_by_whose_label_nobody_knows_there(name, doubted):
    """Of SPIDER's patients without T2 no herniation or slip is known, nor how often such grades are wrong."""
    whole = checked(located())
    t1 = replace(
        whole, series=tuple(replace(one, series=replace(one.series, view=View.SAGITTAL_T1)) for one in whole.series)
    )
    assert not whole.doubts("L5/S1", TARGET[name], [VIEW])
    assert t1.doubts("L5/S1", TARGET[name], [View.SAGITTAL_T1]) is doubted


def test_an_axial_series_unlike_all_that_was_learnt_is_flagged_for_what_was_read_from_it_and_far_beyond_refused():
    one, odd = axial(), axial(reference=(0.0, 100.0, 90.0, 20.0, 50.0))
    assert len(figures_of(one).figures_F) == len(FIGURES) - 1
    learnt = UsualSeries(figures_of(one).figures_F, np.eye(len(FIGURES) - 1) * 1e6, 1.0, 100, synthetic=True)
    assert UsualSeries.from_dict(learnt.to_dict()).synthetic
    distance = learnt.distance(figures_of(odd).figures_F)
    references = {VIEW: reference_around(located()), View.AXIAL_T2: learnt}
    assert codes(checked(located(), one, references=references).flags, Severity.FLAG) == []
    result = checked(located(), odd, references={**references, View.AXIAL_T2: replace(learnt, flag=distance / 2)})
    assert codes(result.flags, Severity.FLAG) == ["unlike_training"] and codes(result.flags, Severity.REFUSE) == []
    assert any("synthetic series the model learnt from" in flag.text for flag in result.flags)
    assert result.cautioned == frozenset() and result.cautioned_axial == {"L5/S1"}
    bulging = TARGET["bulging"]
    assert result.doubts("L5/S1", bulging, [View.AXIAL_T2]) and not result.doubts("L5/S1", bulging, [VIEW])
    far = checked(located(), odd, references={**references, View.AXIAL_T2: replace(learnt, flag=distance / 4)})
    assert codes(far.flags, Severity.REFUSE) == ["unlike_training"]
    assert [one.series.name for one in far.series] == ["t2"] and far.cautioned_axial == frozenset()


def test_series_left_out_or_told_otherwise_are_noted_with_their_reason():
    spare = replace(located(name="spare").series, view=None, basis=Basis.EXCLUDED, reason="A localiser.")
    told = located()
    told = replace(told, series=replace(told.series, basis=Basis.IMAGE, reason="By its image."))
    study = Study("17", (told.series, spare))
    flags = check(StudyLevels(study, (told,)), SPEC, {}).flags
    noted = {flag.code: (flag.subject, flag.text) for flag in flags if flag.scope is Scope.SERIES}
    assert noted["not_used"] == ("spare", "A localiser.") and noted["view_by_image"] == ("t2", "By its image.")


def test_a_study_without_levels_is_refused_in_the_locators_words():
    reason = Note("no_sacrum", Scope.SERIES, "t2", "the sacrum is not in view", Severity.REFUSE)
    result = check(StudyLevels(Study("17", ()), (), (reason,)), SPEC, {})
    assert result.flags[0] == reason and result.series == () and result.refusal == "t2: the sacrum is not in view"


def test_the_limit_of_a_reference_is_one_that_held_out_series_seldom_pass():
    figures_NF = np.random.default_rng(0).normal(0, 1, (300, len(FIGURES)))
    reference, held_out_N = fit_usual(figures_NF)
    assert np.mean(held_out_N > reference.flag) == pytest.approx(0.01, abs=0.005)
    assert UsualSeries.from_dict(replace(reference, artefact_flags=(0.1, 0.2, 0.3)).to_dict()).artefact_flags == (
        0.1,
        0.2,
        0.3,
    )
    assert UsualSeries.from_dict(reference.to_dict()).flag == pytest.approx(reference.flag, abs=1e-3)
    better = reference.usual_F + np.array([0, 0, 0, -5, 5, 5])  # less noise, sharper, surer than usual
    assert reference.distance(better) == 0
    assert reference.oddest(reference.usual_F + np.array([0, 9, 0, 0, 0, 0])) == "fluid"
    with pytest.raises(ValueError, match="too few"):
        fit_usual(figures_NF[:20])


def test_a_stack_whose_midline_is_its_outermost_slice_is_flagged():
    stack = located(size=(9, 260, 220))
    smooth = uniform_filter1d(stack.series.voxels_SRC, 5, axis=0)  # neighbours look alike
    beside = replace(stack, series=replace(stack.series, voxels_SRC=smooth), midline_slice=0)
    flags = checked(beside).flags
    assert "off_midline" in codes(flags, Severity.FLAG)
    assert checked(beside).cautioned == frozenset(frame.level for frame in beside.frames)
    for sound in (replace(beside, midline_slice=4), located(), located(size=(3, 260, 220))):
        assert "off_midline" not in codes(checked(sound).flags, Severity.FLAG)


@pytest.mark.parametrize(("height_mm", "is_flagged"), [(19.0, True), (31.0, False)])
def test_discs_beside_a_collapsed_vertebra_are_flagged(height_mm, is_flagged):
    lower = 35.0 - height_mm
    frames = [frame(index) for index in range(3)]
    frames += [
        replace(one, center_mm=one.center_mm - [0, 0, lower])
        for one in (frame(3, step_mm=35.0), frame(4, step_mm=35.0))
    ]
    result = checked(located(frames))
    subjects = [flag.subject for flag in result.flags if flag.code == "collapsed"]
    assert subjects == (["L3/L4", "L2/L3"] if is_flagged else [])
    assert {"L3/L4", "L2/L3"} <= result.cautioned or not is_flagged
