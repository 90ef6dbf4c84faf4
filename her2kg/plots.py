"""Pictures as matplotlib figures: verdicts, adverse events, outcomes, approvals, guidelines.

>>> from her2kg import KnowledgeGraph, plots
>>> figure = plots.forest(KnowledgeGraph(), "metastatic second line", endpoint="PFS")
>>> plots.save(figure, "forest.svg")

Every figure says what it is of and how it was made, and that it is no medical advice. Figures are
not known to pyplot; text stays text in SVG, and the same data give the same bytes. Needs
matplotlib: pip install her2kg[plots].
"""

from her2kg.plot_adverse_events import adverse_events, wilson
from her2kg.plot_forest import forest
from her2kg.plot_matrix import eligibility_matrix
from her2kg.plot_patient import patient_map
from her2kg.plot_sequence import sequence
from her2kg.plot_sheet import save
from her2kg.plot_timeline import timeline

__all__ = [
    "adverse_events",
    "eligibility_matrix",
    "forest",
    "patient_map",
    "save",
    "sequence",
    "timeline",
    "wilson",
]
