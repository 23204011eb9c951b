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
# # How good are the grades?
#
# Two tables of saved predictions, every figure with a 95 % interval over patients:
#
# - **SPIDER**, 179 patients in 3-fold cross-validation: each patient graded by a bundle that never saw them, from levels
#   it found itself, through the exported ONNX. Truth is one reader's grading (van der Graaf et al., Scientific Data
#   2024, CC BY 4.0).
# - **Phantoms**: synthetic studies with exact truth and three simulated readers each, graded by the bundle in the
#   package.
#
# Research use only. Not a medical device; not for diagnosis or treatment decisions.

# %%
# %matplotlib inline
from pathlib import Path

from IPython.display import Markdown

from spinenet.evaluate import Beside, Settings, assess, markdown_table, verdict_table
from spinenet.evaluate.assess.saved import load_saved
from spinenet.evaluate.show.outputs import figures_of

spider = load_saved(Path("cross_validation"))
phantoms = load_saved(Path("phantom_test"))
settings = Settings("SPIDER, cross-validated", samples=1000)
real = assess(spider.predictions, settings, Beside())
draw = dict(figures_of(real))

# %% [markdown]
# ## Better than chance, than the previous run, than a reader?
#
# The question first. "Not shown" is not "equal": it means that these patients cannot tell. SPIDER publishes one grading,
# so no reader can be asked there, and there is no earlier run on these folds; the simulated readers of the phantoms can
# be asked below.

# %%
Markdown(verdict_table(real.verdicts))

# %% [markdown]
# ## The figures, target by target
#
# Quadratic kappa for ordered grades, AUC for findings. Accuracy is not among them: with 5 % herniations a model that
# never says "herniation" is right 95 % of the time.

# %%
names = ("quadratic_kappa", "auc", "average_precision", "macro_f1", "balanced_accuracy", "matthews", "gwet_ac1")
Markdown(markdown_table(real.metrics, names))

# %%
Markdown(markdown_table(real.metrics, ("prevalence", "sensitivity", "specificity", "ppv", "npv")))

# %% [markdown]
# Predictive values hold at this prevalence alone: SPIDER's patients had low back pain and were sent to MRI. In a
# screened population most positive calls would be wrong.
#
# ## What is confused with what

# %%
draw["confusion"]()

# %% [markdown]
# Neighbouring Pfirrmann grades are confused, distant ones hardly ever: that is also where human readers disagree
# (kappa about 0.6 between them). Modic types 1 and 3 are so rare here (11 discs in all) that nothing can be said of them.
#
# ## Ranking: ROC and precision-recall

# %%
draw["roc"]()

# %%
draw["precision_recall"]()

# %% [markdown]
# The precision-recall curves of herniation and spondylolisthesis show what the ROC curves hide: at a useful recall most
# calls are false.
#
# ## Would acting on it help?
#
# Net benefit of acting on discs above a probability, beside acting on all or none of them. Where the blue curve lies
# above both, the model helps at that threshold; what threshold is right is a clinical question that no data set answers.

# %%
draw["decision"]()

# %% [markdown]
# ## Calibration and abstention

# %%
draw["reliability"]()

# %%
draw["risk_coverage"]()

# %% [markdown]
# ## By level

# %%
draw["levels"]()

# %% [markdown]
# # Phantoms: exact truth and simulated readers
#
# The bundle that is shipped, on phantoms it never saw, drawn with the prevalence of RSNA 2024. These figures say how far
# the grades follow known geometry and tissue in synthetic images; they say nothing about patients.

# %%
synthetic = assess(
    phantoms.predictions, Settings("Phantoms", samples=500), Beside(cases=phantoms.cases, readers=phantoms.readers)
)
draw_synthetic = dict(figures_of(synthetic))
Markdown(verdict_table(synthetic.verdicts))

# %%
Markdown(markdown_table(synthetic.metrics, ("quadratic_kappa", "auc", "average_precision", "macro_f1", "ece")))

# %% [markdown]
# ## Model against reader, reader against reader
#
# The simulated readers disagree as published readers do (grey). A model can agree with the truth better than a reader.

# %%
draw_synthetic["readers"]()

# %% [markdown]
# ## Who is it worse for?
#
# Vendor, field strength, second series, sex, age, and signal to noise in thirds. Groups under 30 patients are marked; a gap whose interval holds 0 is
# not a gap that was shown.

# %%
draw_synthetic["subgroup_vendor"]()

# %%
draw_synthetic["subgroup_signal_to_noise"]()

# %%
draw_synthetic["subgroup_field_strength"]()

# %%
draw_synthetic["subgroup_age"]()

# %%
draw_synthetic["subgroup_sex"]()

# %% [markdown]
# # What all this cannot show
#
# - SPIDER here is reduced: 149 of 179 patients have one mid-sagittal slice a series, while their grades come from whole
#   volumes. Findings beside the midline cannot be seen.
# - The recipe was chosen by looking at these folds, so the figures are somewhat optimistic; the 39 validation patients of
#   SPIDER are untouched.
# - One reader's truth: a kappa with it above 0.8 would be agreement with that reader, not with the disc.
# - Four hospitals in one country. Other scanners, other patients, other readers: unknown.
# - Nothing here measures whether a report that uses these grades is a better report.
