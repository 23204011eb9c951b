"""The table of networks: every target that all were judged on, with its interval."""

from spinenet.train.contest import Contestant, contest_table


def figure(value, low=None, high=None):
    return {"value": value, "low": low, "high": high}


def contestant(name, **targets):
    return Contestant(name, "mean", {"targets": targets}, 1_400_000, 0.25)


def test_the_table_shows_the_figure_that_suits_the_scale_of_each_common_target():
    canal = {"metrics": {"quadratic_kappa": figure(0.8, 0.7, 0.9), "auc": figure(0.1)}}
    bulging = {"metrics": {"auc": figure(0.9, 0.85, 0.95)}}
    table = contest_table(
        [contestant("a", canal_stenosis=canal, bulging=bulging), contestant("b", canal_stenosis=canal)]
    )
    header, _, first, second = table.splitlines()
    assert header == "| Network | Weights (million) | Seconds a study | Spinal canal stenosis, kappa |"
    assert first == "| a (mean) | 1.4 | 0.25 | 0.80 [0.70, 0.90] |" and second.startswith("| b (mean) | 1.4 | 0.25 |")


def test_a_figure_that_does_not_exist_is_a_dash():
    table = contest_table([contestant("a", canal_stenosis={"metrics": {"quadratic_kappa": figure(None)}})])
    assert table.splitlines()[2].endswith("| – |")
