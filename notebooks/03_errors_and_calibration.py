# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Where it is wrong, and whether it knows
#
# The surest mistakes and the least sure rights, with slices the grades came from; calibration; abstention and prediction
# sets; and how far grades move when the same study is seen a little differently. Committed pictures are of phantoms
# alone. Where the environment variable `SPINENET_SPIDER` names SPIDER's folder, the same is drawn for its patients;
# those pictures are not to be committed.
#
# Research use only. Not a medical device; not for diagnosis or treatment decisions.

# %%
# %matplotlib inline
import os
from pathlib import Path

import pandas as pd
from IPython.display import Markdown

from spinenet.evaluate import Beside, Settings, assess, markdown_table
from spinenet.evaluate.assess.saved import load_saved
from spinenet.evaluate.show.examples import gallery, ranked
from spinenet.evaluate.show.outputs import figures_of

spider = load_saved(Path("cross_validation"))
phantoms = load_saved(Path("phantom_test"))

# %% [markdown]
# ## Phantoms: surest mistakes
#
# Each column is one disc: the slices nearest the midline, true and decided grade, and the probability of the decision.

# %%
gallery(phantoms.predictions, phantoms.slices, "pfirrmann", right=False)

# %%
gallery(phantoms.predictions, phantoms.slices, "herniation", right=False)

# %%
gallery(phantoms.predictions, phantoms.slices, "narrowing", right=False)

# %%
gallery(phantoms.predictions, phantoms.slices, "modic", right=False)

# %% [markdown]
# ## Phantoms: least sure rights

# %%
gallery(phantoms.predictions, phantoms.slices, "pfirrmann", right=True)

# %%
gallery(phantoms.predictions, phantoms.slices, "herniation", right=True)

# %% [markdown]
# ## Patients: the surest mistakes as a list
#
# Numbers are SPIDER's own patient numbers. A sure mistake is either the model's or the grading's: several lie at discs
# whose finding is beside the single slice that the reduced set holds.

# %%
columns = ["study", "level", "target", "truth", "grade", "p"]
targets = ("pfirrmann", "modic", "herniation", "narrowing", "bulging", "spondylolisthesis")
worst = pd.concat([ranked(spider.predictions, target, right=False).head(4)[columns] for target in targets])
worst.style.hide(axis="index").format({"p": "{:.2f}"})

# %%
if "SPINENET_SPIDER" in os.environ:
    from IPython.display import display

    from spinenet.evaluate.assess.saved import spider_slices

    slices = spider_slices(Path(os.environ["SPINENET_SPIDER"]), spider.predictions)
    for target in ("pfirrmann", "herniation"):
        display(gallery(spider.predictions, slices, target, right=False))

# %% [markdown]
# ## Calibration
#
# Before is the network alone; after is a temperature fitted on other patients. Points are ten bins of equally many discs.

# %%
real = assess(spider.predictions, Settings("SPIDER, cross-validated", samples=500), Beside())
draw = dict(figures_of(real))
draw["reliability"]()

# %%
Markdown(markdown_table(real.metrics, ("ece_uncalibrated", "ece", "ece_adaptive", "brier", "log_loss")))

# %% [markdown]
# ## Abstention
#
# If only the surest share of discs were graded, how many of those would be wrong? The dot is where the model abstains now.

# %%
draw["risk_coverage"]()

# %% [markdown]
# ## Robustness
#
# Forty SPIDER patients seen again: other noise, moved, turned, other grey values, coarser pixels, mirrored, one series
# missing, the lowest disc out of view (`scripts/robustness.py`). Share of grades that changed, with intervals over
# patients in [robustness/report.md](robustness/report.md).

# %%
moved = pd.read_csv("robustness/tables/movements.csv")
moved.pivot_table(index="kind", columns="target", values="changed", sort=False).round(2)

# %% [markdown]
# Names of levels under the same changes: how often a study was refused, and how often a name moved to another disc.

# %%
pd.read_csv("robustness/tables/levels.csv").round(3).style.hide(axis="index")
