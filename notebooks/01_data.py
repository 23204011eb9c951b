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
# # What the data holds
#
# | data set | what it labels | how it is used |
# |---|---|---|
# | SPIDER (van der Graaf et al. 2024, CC BY 4.0) | eight disc targets, masks | training, cross-validation |
# | phantoms (this project) | all thirteen targets, masks, key-points, simulated readers | pre-training, stenosis, tests with exact truth |
# | RSNA 2024 (LumbarDISC) | stenosis of canal, foramina, subarticular zones | readable; not used for the bundle |
#
# Research use only. Not a medical device; not for diagnosis or treatment decisions.

# %%
# %matplotlib inline
from pathlib import Path

import pandas as pd

from spinenet.evaluate.assess.saved import load_saved
from spinenet.evaluate.show.description import contrast_figure, example_figure, label_figure, label_table

spider = load_saved(Path("cross_validation")).predictions
phantoms = load_saved(Path("phantom_test")).predictions

# %% [markdown]
# ## Labels by level
#
# SPIDER's 179 training patients. Degeneration grows towards the sacrum; herniations, slips and Modic 1 and 3 are rare, which
# is why nothing here is judged by accuracy.

# %%
label_figure(spider, "SPIDER")

# %%
label_table(spider)

# %% [markdown]
# The phantoms of the test set are drawn with the stenosis prevalence of RSNA 2024, level by level; their other findings
# follow from the same latent degeneration.

# %%
label_figure(phantoms, "Phantoms")

# %%
label_table(phantoms)

# %% [markdown]
# ## Example studies
#
# Two phantoms, made here from their seeds in a few seconds: sagittal T1, sagittal T2, and an axial T2 slice through the
# disc L4/L5. Real slices are shown only where the data lies.

# %%
example_figure(seeds=(3, 4))

# %% [markdown]
# ## Intensities, contrasts and shapes: phantom against real
#
# Grey values of disc, vertebral body and canal on each series' own scale (0 dark, 1 bright around the spine), and the
# height and depth of discs in mm, measured in the same way under the masks of both (`scripts/describe_data.py`).

# %%
described = pd.read_csv("data/series.csv")
contrast_figure(described)

# %%
described.groupby(["data", "view"])[["body", "canal", "disc", "disc height mm", "disc depth mm"]].median().round(2)

# %% [markdown]
# Where the boxes do not overlap the phantom is not yet like the patients; the widened share of phantoms (relaxation times
# far from the tables) is meant to cover such gaps in training.
#
# ## Label noise and quirks
#
# What the check of the data found (`python scripts/prepare_data.py data=spider data.root=SPIDER --check`):

# %%
print(Path("data/spider_findings.txt").read_text())

# %% [markdown]
# - Grades are by one reader per patient and were read from whole volumes; the reduced set often holds one slice.
# - SPIDER does not say which side of its volumes is left: nothing here depends on it.
# - Human readers of Pfirrmann grades agree with kappa about 0.6; a disagreement of one grade is ordinary.
