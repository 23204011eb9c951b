"""How well raters agree among themselves: published values, the ceiling that a grade taken from raters can have."""

from dataclasses import dataclass

from spinenet.evaluate.questions import target_named


@dataclass(frozen=True)
class PublishedAgreement:
    """A published agreement: its ends (the same where one value is given), and whose it is."""

    low: float
    high: float
    source: str

    def text(self) -> str:
        """For a table.

        >>> PublishedAgreement(0.39, 0.9, "Lee grades").text()
        'kappa 0.39 to 0.90 (Lee grades)'
        """
        value = f"{self.low:.2f}" if self.low == self.high else f"{self.low:.2f} to {self.high:.2f}"
        return f"kappa {value} ({self.source})"


AGREEMENT = {
    "pfirrmann": PublishedAgreement(0.6, 0.6, "Pfirrmann grades, about"),
    "herniation": PublishedAgreement(0.42, 0.81, "MSU grades of herniation; disc morphology in SPORT"),
    "canal_stenosis": PublishedAgreement(0.44, 0.54, "Schizas grades of the canal; thecal sac in SPORT"),
    "foraminal_stenosis": PublishedAgreement(0.39, 0.9, "Lee grades of the foramen, general to expert raters"),
    "subarticular_stenosis": PublishedAgreement(0.47, 0.47, "nerve root compression, SPORT"),
}
"""By condition. The studies differ in raters, patients and weights: bounds to compare with by eye."""


def agreement_on(name: str) -> PublishedAgreement | None:
    """What is published for a target, or for both sides of one under their condition."""
    return AGREEMENT.get(target_named(name).condition)


LEVELS_MISNAMED = 0.141
"""Share of patients in whom a level is numbered wrongly from lumbar images alone."""
