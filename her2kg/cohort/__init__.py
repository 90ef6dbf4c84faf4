"""Verdicts for cohorts: the class axioms of the ontology, compiled to columns."""
