"""Why something follows: a minimal set of axioms and facts that entails it (a justification)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from her2kg.errors import EngineError
from her2kg.namespaces import BASE

if TYPE_CHECKING:
    from her2kg.hermit import Hermit, Literal

_STEPS = 12  # a chain of definitions longer than this is none that a person follows
_HUBS = {f"{BASE}Patient", f"{BASE}TherapyCourse", f"{BASE}ToxicityEpisode"}


def justification(hermit: Hermit, facts: Sequence[Any], literal: Literal, status: str) -> list[Any]:
    """A minimal set of axioms and facts from which a membership, or its negation, follows.

    Leaving any one out, it does not follow any more. There may be others; QuickXplain finds one.

    Shape: axioms of the OWL API, facts of the patient last; `facts` as `Hermit.axioms` gives them.
    Errors: EngineError if it does not follow.
    """
    individual, iri = literal
    what = hermit.negation(literal) if status == "met" else hermit.named_class(iri)
    denial = hermit.assertion(what, individual)

    def follows(axioms: Iterable[Any]) -> bool:
        return not hermit.can_all_be_true([*axioms, denial])

    near = _near(hermit, facts, literal, follows)
    found = _quick_explain([], near, False, follows)
    return sorted(found, key=lambda axiom: (axiom.isOfType(_assertions()), str(axiom)))


def render(axioms: Iterable[Any]) -> list[str]:
    """Axioms in Manchester syntax with local names, one string each."""
    from jpype import JClass

    renderer = JClass(
        "uk.ac.manchester.cs.owl.owlapi.mansyntaxrenderer.ManchesterOWLSyntaxOWLObjectRendererImpl"
    )()
    return [" ".join(str(renderer.render(axiom)).split()) for axiom in axioms]


def classes_in(axioms: Iterable[Any]) -> set[str]:
    """IRIs of the named classes that axioms speak of."""
    return {str(c.getIRI()) for axiom in axioms for c in axiom.getClassesInSignature()}


def _assertions() -> Any:
    from jpype import JClass

    return JClass("org.semanticweb.owlapi.model.AxiomType").ABoxAxiomTypes


def _near(
    hermit: Hermit, facts: Sequence[Any], literal: Literal, follows: Callable[[list[Any]], bool]
) -> list[Any]:
    """Axioms around the class and the individual, widened until the membership follows."""
    by_entity: dict[str, list[Any]] = {}
    for axiom in facts:
        for entity in axiom.getIndividualsInSignature():
            by_entity.setdefault(str(entity.getIRI()), []).append(axiom)
    names, reached = {literal[1], literal[0]}, set()
    chosen: dict[Any, None] = {}
    for _ in range(_STEPS):
        fresh = sorted(names - reached - _HUBS)
        reached |= names
        for name in fresh:
            for axiom in [*by_entity.get(name, ()), *hermit.axioms_about(name)]:
                chosen.setdefault(axiom)
        names = {
            str(entity.getIRI())
            for axiom in chosen
            for entity in axiom.getSignature()
            if not entity.isOWLDatatype()
        }
        if follows(list(chosen)):
            return list(chosen)
        if names <= reached | _HUBS:
            break
    every = [*hermit.ontology.getLogicalAxioms(), *facts]
    if follows(every):
        return every
    raise EngineError(f"it does not follow that {literal[0]} is or is not in {literal[1]}")


def _quick_explain(
    kept: list[Any], rest: list[Any], grown: bool, follows: Callable[[list[Any]], bool]
) -> list[Any]:
    """QuickXplain (Junker 2004): a minimal part of `rest` that entails together with `kept`."""
    if grown and follows(kept):
        return []
    if len(rest) == 1:
        return rest
    half = len(rest) // 2
    first, second = rest[:half], rest[half:]
    of_second = _quick_explain([*kept, *first], second, bool(first), follows)
    of_first = _quick_explain([*kept, *of_second], first, bool(of_second), follows)
    return [*of_first, *of_second]
