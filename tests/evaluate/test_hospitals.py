"""Sites under each other: random effects as others compute them, and files that say what they are."""

import numpy as np
import pytest
from scipy.special import expit

from spinenet.evaluate.experiments.hospitals import Site, by_target, pool, sites_of, write_hospitals
from spinenet.evaluate.intervals import Estimate
from spinenet.labels import RESEARCH_ONLY


def site(line, error, target="herniation"):
    value, low, high = expit([line, line - 2 * error, line + 2 * error])
    return Site("s", "h", target, 100, 20, 10, Estimate(value, low, high), line, error)


def test_the_mean_and_heterogeneity_are_statsmodels():
    from statsmodels.stats.meta_analysis import combine_effects

    lines, errors = np.array([1.2, 2.1, 1.7, 2.9]), np.array([0.2, 0.3, 0.25, 0.3])
    ours = pool([site(*pair) for pair in zip(lines, errors, strict=True)])
    theirs = combine_effects(lines, errors**2, method_re="chi2", use_t=True)
    table = theirs.summary_frame()
    assert ours.mean.value == pytest.approx(expit(table.loc["random effect", "eff"]), rel=1e-9)
    assert ours.tau**2 == pytest.approx(theirs.tau2, rel=1e-9) and ours.i_squared == pytest.approx(theirs.i2, rel=1e-9)
    plain, adjusted = theirs.conf_int(use_t=True)[1], theirs.conf_int(use_t=True)[3]  # the latter Hartung and Knapp's
    wider = max((plain, adjusted), key=lambda ends: ends[1] - ends[0])
    assert [ours.mean.low, ours.mean.high] == pytest.approx(expit(np.array(wider)), rel=1e-6)


def test_sites_that_agree_have_no_heterogeneity_and_sites_apart_have():
    alike = pool([site(2.0 + shift, 0.3) for shift in (-0.05, 0.0, 0.05)])
    apart = pool([site(line, 0.1) for line in (1.0, 2.0, 3.0)])
    assert alike.i_squared == 0 and alike.p > 0.9
    assert apart.i_squared > 0.9 and apart.p < 1e-6
    assert apart.next_site[1] - apart.next_site[0] > alike.next_site[1] - alike.next_site[0]
    assert np.isnan(pool([site(2.0, 0.1)]).mean.low)


def test_every_site_has_its_own_row_and_one_with_few_positives_has_none(predictions, tmp_path):
    first, second = predictions("bulging", "herniation", seed=1), predictions("bulging", "pfirrmann", seed=2)
    first.loc[(first.target == "herniation") & (first.index % 100 > 0), "truth"] = 0
    tables = {("A", "A, fold 0"): first, ("B", "B"): second}
    found = by_target(sites_of(tables, samples=200))
    assert {name: [one.site for one in sites] for name, sites in found.items()} == {
        "bulging": ["A, fold 0", "B"],
        "pfirrmann": ["B"],
    }
    write_hospitals(tables, tmp_path, samples=200, seed=0)
    report = (tmp_path / "report.md").read_text()
    assert RESEARCH_ONLY in report and "| Disc bulging | A | A, fold 0 | 40 |" in report
    assert (tmp_path / "forest.png").stat().st_size > 5000


def test_what_stands_beside_is_shown_and_in_no_mean(predictions, tmp_path):
    tables = {(name, name): predictions("bulging", seed=seed) for seed, name in enumerate("AB")}
    for folder, beside in ((tmp_path / "without", None), (tmp_path / "with", {("C", "C"): predictions("bulging")})):
        write_hospitals(tables, folder, beside=beside, samples=200, seed=0)
    without, shown = ((tmp_path / name / "report.md").read_text() for name in ("without", "with"))
    assert shown.startswith(without.rstrip()) and "| Disc bulging | C | C | 40 |" in shown[len(without) :]
