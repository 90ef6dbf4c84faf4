"""The class tree and what every term says of itself: heads, synonyms, examples, sources."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from functools import cache
from pathlib import Path

import pytest
from rdflib import DCTERMS, OWL, RDF, RDFS, SKOS, Graph, Literal, Namespace, URIRef
from rdflib.collection import Collection
from rdflib.namespace import VANN

from her2kg import KnowledgeGraph
from her2kg.namespaces import BASE, ONTOLOGY

ROOT = Path(__file__).resolve().parent.parent
HER2KG = Namespace(BASE)
WIDEST = 40
PROPERTIES = (OWL.ObjectProperty, OWL.DatatypeProperty, OWL.AnnotationProperty)

ROOTS = {
    "AdverseEvent",
    "Assertion",
    "ClinicalRecordEvent",
    "CodedValue",
    "Evidence",
    "Patient",
    "Terminology",
    "Treatment",
    "UnspecifiedValue",
}
SETTINGS = (
    "Neoadjuvant",
    "Adjuvant",
    "PostNeoadjuvant",
    "ExtendedAdjuvant",
    "FirstLine",
    "SecondLine",
    "LaterLine",
)
HEADS = {
    "Patient": "PatientCriterion",
    "PatientCriterion": (
        "BiomarkerCriterion DiseaseCriterion GeneralConditionCriterion JudgementCriterion"
        " OrganFunctionCriterion PatientPopulation SafetyCriterion ScopeCriterion"
        " TreatmentHistoryCriterion"
    ),
    "BiomarkerCriterion": "Her2StatusCriterion HormoneReceptorCriterion",
    "DiseaseCriterion": (
        "AnatomicStageCriterion BrainMetastasesCriterion DiseaseExtentCriterion"
        " NodalStatusCriterion PresentationCriterion PrimaryTumorCriterion SurgeryCriterion"
    ),
    "TreatmentHistoryCriterion": (
        "AdvancedTherapyHistoryCriterion AnyTherapyHistoryCriterion EarlyTherapyHistoryCriterion"
        " LineOfTherapyCriterion ProgressionCriterion RelapseTimingCriterion"
    ),
    "OrganFunctionCriterion": (
        "BloodCountCriterion CardiacFunctionCriterion HepaticFunctionCriterion"
        " NeuropathyCriterion OrganFunctionByExtentCriterion PharmacogeneticCriterion"
        " PulmonaryCriterion RenalFunctionCriterion"
    ),
    "SafetyCriterion": (
        "ConcomitantMedicineCriterion DrugContraindicationCriterion HypersensitivityCriterion"
        " ToxicityOnTherapyCriterion"
    ),
    "PatientPopulation": "GuidelinePopulation LabelPopulation TrialPopulation",
    **{
        f"{basis}Population": " ".join(f"{basis}{setting}Population" for setting in SETTINGS)
        for basis in ("Guideline", "Label", "Trial")
    },
}
# Examples in words: neither the facts of a record nor the graph show these.
IN_WORDS = {
    "eligibleFor",
    "exprNegatedBy",
    "exprNegates",
    "her2TestDecisive",
    "her2TestRank",
    "isDone",
    "isUnderEvaluation",
    "isWaiting",
    "loadingDoseText",
    "undeterminedFor",
}


@cache
def ontology() -> Graph:
    """The modules, without the shapes and the example patients."""
    graph = Graph()
    for path in sorted((ROOT / "ontology").rglob("*.ttl")):
        if path.name != "shapes.ttl" and "examples" not in path.parts:
            graph.parse(path)
    return graph


@cache
def knowledge() -> KnowledgeGraph:
    return KnowledgeGraph()


def name(term: URIRef) -> str:
    return str(term).removeprefix(BASE)


def label(term: URIRef) -> str:
    return str(ontology().value(term, RDFS.label))


@cache
def classes() -> frozenset[URIRef]:
    return frozenset(c for c in ontology().subjects(RDF.type, OWL.Class) if isinstance(c, URIRef))


def parents(term: URIRef) -> set[URIRef]:
    return {c for c in ontology().objects(term, RDFS.subClassOf) if isinstance(c, URIRef)}


def children(term: URIRef) -> set[URIRef]:
    return set(ontology().subjects(RDFS.subClassOf, term)) & classes()


@cache
def above(term: URIRef) -> frozenset[URIRef]:
    """The class and all classes above it."""
    return frozenset({term}).union(*(above(parent) for parent in parents(term)))


def members(term: URIRef) -> set[URIRef]:
    """The individuals of the class and of the classes below it."""
    return set(ontology().subjects(RDF.type, term)).union(*(members(c) for c in children(term)))


def is_heading(term: URIRef) -> bool:
    return (term, HER2KG.isHeading, Literal(True)) in ontology()


# The tree


def test_roots_are_few_and_named():
    assert {name(term) for term in classes() if not parents(term)} == ROOTS


def test_roots_are_disjoint_but_for_the_mark_of_unspecified_values():
    sets = [
        {name(term) for term in Collection(ontology(), ontology().value(node, OWL.members))}
        for node in ontology().subjects(RDF.type, OWL.AllDisjointClasses)
    ]
    assert ROOTS - {"UnspecifiedValue"} in sets


def test_disjoint_roots_cost_the_truth_rules_nothing():
    rows = knowledge().select("SELECT ?left ?right WHERE { ?left her2kg:exprDisjoint ?right }").rows
    assert rows
    assert not {left.local for left, _ in rows} & ROOTS


@pytest.mark.parametrize("head", sorted(HEADS))
def test_heads_of_patient_classes_are_the_expected_ones(head):
    assert {name(c) for c in children(HER2KG[head]) if is_heading(c)} == set(HEADS[head].split())


def test_every_patient_class_is_below_a_head():
    patient_classes = {c for c in classes() if HER2KG.Patient in above(c)} - {HER2KG.Patient}
    grouped = {"PatientCriterion", *" ".join(HEADS.values()).split()}
    for term in patient_classes:
        if is_heading(term):
            assert name(term) in grouped
        else:
            heads = {name(c) for c in above(term) if is_heading(c)}
            assert len(heads) > 1, f"{name(term)} is directly below her2kg:PatientCriterion"


def test_a_divided_head_has_no_class_directly_below():
    loose = {
        name(child)
        for head, heads in HEADS.items()
        if len(heads.split()) > 1 and head != "PatientCriterion"
        for child in children(HER2KG[head])
        if not is_heading(child)
    }
    assert not loose, f"put these below one of the heads of their group: {sorted(loose)}"


def test_population_is_below_the_head_of_its_basis_and_setting():
    heads = {
        "setting_neoadjuvant": "Neoadjuvant",
        "setting_adjuvant": "Adjuvant",
        "setting_post_neoadjuvant": "PostNeoadjuvant",
        "setting_extended_adjuvant": "ExtendedAdjuvant",
        "setting_metastatic_first_line": "FirstLine",
        "setting_metastatic_first_line_maintenance": "FirstLine",
        "setting_metastatic_second_line": "SecondLine",
        "setting_metastatic_third_line": "LaterLine",
        "setting_metastatic_later": "LaterLine",
    }
    wrong = []
    for claim, population in ontology().subject_objects(HER2KG.population):
        setting = heads[name(ontology().value(claim, HER2KG.setting))]
        basis = name(ontology().value(claim, HER2KG.basis)).removeprefix("basis_").capitalize()
        if HER2KG[f"{basis}{setting}Population"] not in parents(population):
            wrong.append(name(population))
    assert not wrong, f"not below the head of their claims: {sorted(wrong)}"


def test_no_class_is_crowded():
    crowded = {name(c): len(children(c)) for c in classes() if len(children(c)) > WIDEST}
    assert not crowded, f"more than {WIDEST} direct subclasses: {crowded}"


def test_headings_group_something():
    assert not [name(c) for c in classes() if is_heading(c) and not children(c)]


# What terms say of themselves


def described() -> list[URIRef]:
    """Classes but populations, and properties, of the her2kg namespace."""
    properties = {p for kind in PROPERTIES for p in ontology().subjects(RDF.type, kind)}
    terms = {
        term
        for term in classes() | properties
        if HER2KG.PatientPopulation not in above(term) or is_heading(term)
    }
    return sorted(term for term in terms if str(term).startswith(BASE))


def example(term: URIRef) -> str:
    return str(ontology().value(term, SKOS.example, default=""))


def test_every_class_and_property_has_one_example_of_use():
    lacking = [name(t) for t in described() if len(set(ontology().objects(t, SKOS.example))) != 1]
    assert not lacking, f"add one skos:example to {lacking}"


@cache
def shown(text: str) -> tuple[frozenset[str], frozenset[str], frozenset[str]]:
    """Classes met, classes in conflict, and properties filled, in a record."""
    kg = knowledge()
    triples, decided = kg.decided(kg.record({"id": "example", **json.loads(text)}))
    status = defaultdict(set)
    for (_, term), found in decided.items():
        status[found].add(term.removeprefix(BASE))
    filled = {str(prop).removeprefix(BASE) for _, prop, _ in triples}
    kinds = {str(kind).removeprefix(BASE) for _, prop, kind in triples if prop == RDF.type}
    return frozenset(status["met"] | kinds), frozenset(status["conflicting"]), frozenset(filled)


def test_examples_that_are_records_are_true():
    wrong = []
    for term in described():
        _, brace, rest = example(term).partition(": {")
        if brace:
            met, conflicting, filled = shown("{" + rest)
            if name(term) not in met | filled | ({"isConflicting"} if conflicting else set()):
                wrong.append(f"{name(term)}: {example(term)}")
    assert not wrong, "\n".join(wrong)


def test_every_defined_criterion_shows_a_record():
    kinds = {HER2KG.PatientCriterion, HER2KG.CourseCriterion, HER2KG.ToxicityCriterion}
    lacking = [
        name(t)
        for t in described()
        if above(t) & kinds and not is_heading(t) and "{" not in example(t)
    ]
    assert not lacking


def test_examples_that_are_statements_are_true():
    wrong = []
    for term in described():
        text = example(term)
        if not text.startswith("her2kg:"):
            continue
        subject, prop, value = text.split(" ", 2)
        rows = knowledge().select(f"SELECT ?value WHERE {{ {subject} {prop} ?value }}").rows
        values = {
            f"her2kg:{v.local}"
            if str(v).startswith(BASE)
            else f"<{v}>"
            if hasattr(v, "local")
            else v
            for (v,) in rows
        }
        said = {str(v).lower() if isinstance(v, bool) else str(v) for v in values}
        if prop != f"her2kg:{name(term)}" or (
            value not in said and json.loads(value if value[0] == '"' else '""') not in said
        ):
            wrong.append(f"{text}: the graph has {sorted(said)[:3]}")
    assert not wrong, "\n".join(wrong)


def test_examples_that_are_lists_are_true():
    wrong = []
    for term in described():
        kind, _, rest = example(term).partition("or example: ")
        if rest:
            below = children(term) if kind.startswith("Groups") else members(term)
            wrong += [
                f"{name(term)}: {word}" for word in _known(rest, {label(each) for each in below})
            ]
    assert not wrong, "no member has the label: " + "\n".join(wrong)


def _known(text: str, labels: set[str]) -> list[str]:
    """What is left of a list of labels, which may hold its separator, without the known ones."""
    for word in sorted(labels, key=len, reverse=True):
        text = text.replace(word, "")
    return [rest for rest in text.split("; ") if rest]


def test_examples_in_words_are_few():
    in_words = {
        name(term)
        for term in described()
        if ": {" not in example(term)
        and not example(term).startswith("her2kg:")
        and "or example: " not in example(term)
    }
    assert in_words == IN_WORDS


def test_conditions_in_words_are_those_of_the_axiom():
    wrong = []
    for population in set(ontology().objects(None, HER2KG.population)):
        definition = str(ontology().value(population, SKOS.definition))
        _, told, words = definition.partition(" Conditions: ")
        if told:
            axiom = ontology().value(population, OWL.equivalentClass)
            cells = ontology().value(axiom, OWL.intersectionOf)
            parts = Collection(ontology(), cells) if cells else [axiom]
            if sorted(words.removesuffix(".").split("; ")) != sorted(map(label, parts)):
                wrong.append(name(population))
    assert not wrong, f"say the same in skos:definition as in the axiom: {sorted(wrong)}"


def test_no_population_is_named_by_a_number():
    populations = set(ontology().objects(None, HER2KG.population))
    assert not [label(p) for p in populations if label(p).endswith(")") and label(p)[-2].isdigit()]


def test_synonym_names_one_class_or_property():
    for kind in (OWL.Class, *PROPERTIES):
        names = Counter()
        for term in set(ontology().subjects(RDF.type, kind)):
            words = {label(term), *map(str, ontology().objects(term, SKOS.altLabel))}
            names.update({word.lower() for word in words} - {"none"})
        assert not [word for word, count in names.items() if count > 1], kind


@pytest.mark.parametrize(
    ("synonym", "term"),
    [
        ("ERBB2-positive", "Her2PositivePatient"),
        ("pCR", "PathologicCompleteResponsePatient"),
        ("prior T-DXd", "PriorTrastuzumabDeruxtecanPatient"),
        ("HER2 TKI", "Her2TyrosineKinaseInhibitor"),
        ("LHRH agonist", "GnrhAgonist"),
        ("left ventricular ejection fraction", "lvefPercent"),
    ],
)
def test_words_of_the_field_find_the_term(synonym, term):
    found = set(ontology().subjects(SKOS.altLabel, Literal(synonym, lang="en")))
    assert found == {HER2KG[term]}


# The header


@pytest.mark.parametrize(
    "said",
    [
        DCTERMS.title,
        DCTERMS.description,
        DCTERMS.creator,
        DCTERMS.license,
        DCTERMS.created,
        DCTERMS.modified,
        DCTERMS.bibliographicCitation,
        OWL.versionInfo,
        VANN.preferredNamespacePrefix,
        VANN.preferredNamespaceUri,
    ],
    ids=lambda term: str(term).rsplit("/", 1)[-1].rsplit("#", 1)[-1],
)
def test_header_of_the_ontology_says(said):
    assert len(set(ontology().objects(URIRef(ONTOLOGY), said))) == 1


def test_source_has_no_version_iri():
    assert not set(ontology().subjects(OWL.versionIRI))
