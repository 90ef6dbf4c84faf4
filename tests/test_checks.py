"""Every rule has a file in tests/invalid that breaks exactly that rule."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import pytest

from her2kg import checks
from her2kg.turtle import format_turtle

HERE = Path(__file__).parent
ROOT = HERE.parent
FIXTURES = HERE / "fixtures"
SHAPES = ROOT / "ontology" / "shapes.ttl"
INVALID = sorted((HERE / "invalid").glob("*.ttl"))
RULES = checks.rule_files(ROOT)
COMPLETE = (ROOT / "ontology" / "schema.ttl").exists()
PREFIXES = "".join(
    f"@prefix {name}: <{iri}> .\n"
    for name, iri in {
        "her2kg": "https://w3id.org/her2kg#",
        "owl": "http://www.w3.org/2002/07/owl#",
        "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
        "rdfs": "http://www.w3.org/2000/01/rdf-schema#",
        "skos": "http://www.w3.org/2004/02/skos/core#",
        "xsd": "http://www.w3.org/2001/XMLSchema#",
    }.items()
)


def shape_rules() -> list[str]:
    """Name every node shape that has targets as a finding names it."""
    from rdflib import SH, Graph

    shapes = Graph().parse(SHAPES, format="turtle")
    return sorted(checks._shape_rule(str(s)) for s in set(shapes.subjects(SH.targetClass)))


def all_findings(modules: list[Path], examples: list[Path]) -> set[checks.Finding]:
    return set(
        checks.rule_findings(RULES, modules, examples)
        + checks.shape_findings(SHAPES, [*modules, *examples])
    )


def is_example(path: Path) -> bool:
    return "a her2kg:Patient ;" in path.read_text()


@pytest.fixture(scope="module")
def minimal() -> tuple[list[Path], list[Path]]:
    return [FIXTURES / "minimal.ttl"], [FIXTURES / "minimal-patient.ttl"]


@pytest.fixture(scope="module")
def project() -> tuple[list[Path], list[Path], set[checks.Finding]]:
    """The real ontology with what its hygiene rules report already."""
    modules, examples = checks.ontology_files(ROOT)
    return modules, examples, set(checks.rule_findings(RULES, modules, examples))


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A small project that passes every check."""
    ontology = tmp_path / "ontology"
    (ontology / "examples").mkdir(parents=True)
    shutil.copytree(ROOT / "queries" / "hygiene", tmp_path / "queries" / "hygiene")
    shutil.copy(SHAPES, ontology / "shapes.ttl")
    shutil.copy(FIXTURES / "minimal.ttl", ontology / "minimal.ttl")
    shutil.copy(FIXTURES / "minimal-patient.ttl", ontology / "examples" / "minimal.ttl")
    (ontology / "her2kg.ttl").write_text(
        format_turtle("<https://w3id.org/her2kg> a <http://www.w3.org/2002/07/owl#Ontology> .")
    )
    from her2kg.tree import format_tree

    format_tree(tmp_path, check=False)
    return tmp_path


def test_minimal_fixture_has_no_findings(minimal):
    assert all_findings(*minimal) == set()


def test_every_rule_has_an_invalid_file():
    assert sorted([rule.stem for rule in RULES] + shape_rules()) == sorted(p.stem for p in INVALID)


@pytest.mark.parametrize("path", INVALID, ids=lambda path: path.stem)
def test_invalid_file_breaks_exactly_its_rule(path, minimal):
    modules, examples = minimal
    if is_example(path):
        findings = all_findings(modules, [*examples, path])
    else:
        findings = all_findings([*modules, path], examples)
    assert {finding.rule for finding in findings} == {path.stem}, sorted(map(str, findings))


@pytest.mark.skipif(not COMPLETE, reason="the ontology has no schema.ttl yet")
@pytest.mark.parametrize(
    "path", [p for p in INVALID if not p.stem.startswith("shape-")], ids=lambda path: path.stem
)
def test_invalid_file_in_the_ontology_breaks_exactly_its_rule(path, project):
    modules, examples, before = project
    findings = set(checks.rule_findings(RULES, [*modules, path], examples)) - before
    rules = {finding.rule for finding in findings}
    # What a file adds is in no list of different individuals of the ontology.
    assert rules | {"value-forgotten"} == {path.stem, "value-forgotten"}, sorted(map(str, findings))
    assert path.stem in rules


@pytest.mark.skipif(not COMPLETE, reason="the ontology has no schema.ttl yet")
def test_invalid_shape_files_in_the_ontology_break_exactly_their_shapes():
    """Each file alone would validate the whole ontology again; together they do it once."""
    modules, examples = checks.ontology_files(ROOT)
    paths = [p for p in INVALID if p.stem.startswith("shape-")]
    before = set(checks.shape_findings(SHAPES, [*modules, *examples]))
    after = set(checks.shape_findings(SHAPES, [*modules, *examples, *_renamed(paths)]))
    rules = {finding.rule for finding in after - before}
    assert rules == {p.stem for p in paths}


def _renamed(paths: list[Path]) -> list[Path]:
    """Give the individuals of each file names of their own, so that the files can be merged."""
    import tempfile

    folder = Path(tempfile.mkdtemp())
    renamed = []
    for number, path in enumerate(paths):
        text = path.read_text().replace("_another", f"_another{number}")
        renamed.append(folder / path.name)
        renamed[-1].write_text(text)
    return renamed


@pytest.mark.skipif(not COMPLETE, reason="the ontology has no schema.ttl yet")
def test_ontology_has_no_findings_within_seconds():
    start = time.perf_counter()
    findings = checks.run_checks(ROOT)
    seconds = time.perf_counter() - start
    assert not findings, "\n".join(map(str, findings))
    assert seconds < 30


@pytest.mark.parametrize("path", INVALID, ids=lambda path: path.stem)
def test_invalid_file_is_canonical(path):
    assert format_turtle(path.read_text()) == path.read_text()


@pytest.mark.parametrize(
    "expression",
    [
        (
            "[ a owl:Restriction ; owl:onProperty her2kg:hadCourse ;"
            ' owl:maxCardinality "0"^^xsd:nonNegativeInteger ]'
        ),
        (
            "[ a owl:Restriction ; owl:onProperty her2kg:hadCourse ; owl:onClass her2kg:TherapyCourse ;"
            ' owl:maxQualifiedCardinality "1"^^xsd:nonNegativeInteger ]'
        ),
        (
            "[ a owl:Restriction ; owl:onProperty her2kg:hadCourse ; owl:onClass her2kg:TherapyCourse ;"
            ' owl:qualifiedCardinality "1"^^xsd:nonNegativeInteger ]'
        ),
        (
            "[ a owl:Restriction ; owl:onProperty her2kg:hadCourse ;"
            ' owl:minCardinality "1"^^xsd:nonNegativeInteger ]'
        ),
        "[ a owl:Restriction ; owl:onProperty her2kg:sex ; owl:hasSelf true ]",
        (
            "[ a owl:Restriction ; owl:onProperty [ owl:inverseOf her2kg:hadCourse ] ;"
            " owl:someValuesFrom her2kg:Patient ]"
        ),
        "[ a owl:Class ; owl:oneOf ( her2kg:drug_minimal ) ]",
        (
            "[ a owl:Class ; owl:intersectionOf ( her2kg:Patient [ a owl:Class ; owl:complementOf"
            " [ a owl:Class ; owl:unionOf ( her2kg:Patient [ a owl:Restriction ;"
            " owl:onProperty her2kg:sex ; owl:allValuesFrom her2kg:Sex ] ) ] ] ) ]"
        ),
        (
            "[ a owl:Restriction ; owl:onProperty her2kg:recordIdentifier ; owl:someValuesFrom"
            " [ a rdfs:Datatype ; owl:onDatatype xsd:string ;"
            ' owl:withRestrictions ( [ xsd:pattern "a" ] ) ] ]'
        ),
        (
            "[ a owl:Restriction ; owl:onProperty her2kg:ageYears ; owl:someValuesFrom"
            " [ a rdfs:Datatype ; owl:datatypeComplementOf xsd:decimal ] ]"
        ),
        (
            "[ a owl:Restriction ; owl:onProperty her2kg:ageYears ; owl:someValuesFrom"
            " [ a rdfs:Datatype ; owl:oneOf ( 1.0 ) ] ]"
        ),
    ],
)
@pytest.mark.parametrize("kind", ["PatientCriterion", "CourseCriterion", "ToxicityCriterion"])
def test_profile_names_the_class_of_any_other_construct(expression, kind, minimal, tmp_path):
    path = tmp_path / "criterion.ttl"
    path.write_text(
        f"{PREFIXES} her2kg:OddCriterion rdfs:subClassOf her2kg:{kind} ;"
        f" owl:equivalentClass {expression} ."
    )
    rules = [rule for rule in RULES if rule.stem.startswith("profile-")]
    findings = checks.rule_findings(rules, [*minimal[0], path])
    assert [(f.rule, f.term) for f in findings] == [
        ("profile-construct", "https://w3id.org/her2kg#OddCriterion")
    ]


def test_closure_of_an_example_patient_is_not_a_finding(minimal):
    assert "owl:maxCardinality" in minimal[1][0].read_text()
    assert not checks.rule_findings(RULES, *minimal)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.stem)
def test_rule_has_header_and_projects_term_and_problem(rule):
    text = rule.read_text()
    for key in ("summary", "description", "columns", "tags"):
        assert f"#+ {key}:" in text
    assert "SELECT ?term ?problem WHERE" in text or "SELECT DISTINCT ?term ?problem WHERE" in text
    assert text.endswith("ORDER BY ?term ?problem\n")


@pytest.mark.parametrize(
    "path", [p for p in INVALID if not p.stem.startswith("shape-")], ids=lambda path: path.stem
)
def test_rule_gives_the_same_rows_on_rdflib(path, minimal):
    graph = checks._rdflib_graph([*minimal[0], path])
    text = (ROOT / "queries" / "hygiene" / f"{path.stem}.rq").read_text()
    rows = [(path.stem, str(term), str(problem)) for term, problem in graph.query(text)]
    expected = checks.rule_findings(
        [ROOT / "queries" / "hygiene" / f"{path.stem}.rq"], [*minimal[0], path]
    )
    assert len(rows) == len(expected)
    for (rule, term, problem), finding in zip(rows, expected, strict=True):
        assert (rule, term) == (finding.rule, finding.term)
        assert finding.problem.startswith(problem)  # nearest names may follow


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.stem)
def test_rule_passes_the_minimal_fixture_on_rdflib(rule, minimal):
    assert not list(checks._rdflib_graph(minimal[0]).query(rule.read_text()))


def test_run_checks_of_a_good_tree_is_empty(tree):
    assert checks.run_checks(tree) == []


def test_run_checks_reports_form_imports_and_catalog(tree):
    schema = tree / "ontology" / "minimal.ttl"
    schema.write_text(schema.read_text() + "\n")
    (tree / "ontology" / "drugs.ttl").write_text(
        format_turtle(
            "<https://w3id.org/her2kg/drugs> a <http://www.w3.org/2002/07/owl#Ontology> ."
        )
    )
    found = [(f.rule, f.term) for f in checks.run_checks(tree)]
    assert found == [
        ("format", "ontology/minimal.ttl"),
        ("imports", "ontology/her2kg.ttl"),
        ("catalog", "ontology/catalog-v001.xml"),
    ]


def test_run_checks_reports_broken_turtle(tree):
    (tree / "ontology" / "drugs.ttl").write_text("@prefix a: <http://a.example/> .\na:b a:c\n")
    findings = checks.run_checks(tree)
    assert [f.rule for f in findings] == ["syntax"]
    assert "ontology/drugs.ttl" in findings[0].term


def test_run_checks_reports_a_misspelt_property_of_an_example(tree):
    example = tree / "ontology" / "examples" / "minimal.ttl"
    example.write_text(example.read_text().replace("her2kg:erPercent", "her2kg:erPercentage"))
    assert ("term-defined", "https://w3id.org/her2kg#erPercentage") in {
        (f.rule, f.term) for f in checks.run_checks(tree)
    }
