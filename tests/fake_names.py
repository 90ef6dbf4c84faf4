"""A small stand-in for names.Names with the vocabulary that the patient record needs."""

from __future__ import annotations

from her2kg.errors import UnknownTerm, did_you_mean

BASE = "https://w3id.org/her2kg#"

OBJECTS = {
    "sex": ("sex", "female male"),
    "menopausal": ("menopausalStatus", "premenopausal postmenopausal"),
    "pregnancy": ("pregnancyStatus", "pregnant|not pregnant"),
    "her2_ihc": ("her2IhcScore", "0 1+ 2+ 3+"),
    "her2_ish": ("her2IshResult", "positive|negative|equivocal|not done"),
    "her2_ish.probe": ("ishProbe", "dual single"),
    "her2_status": ("statedHer2Status", "positive negative equivocal"),
    "setting": ("diseaseExtent", "early unresectable metastatic"),
    "phase": (
        "diseasePhase",
        (
            "before surgery|after surgery|residual disease|adjuvant therapy under way"
            "|adjuvant therapy completed"
        ),
    ),
    "metastatic_sites": (
        "hasMetastaticSite",
        "brain|liver|lung|bone|lymph node|skin|pleura|peritoneum|leptomeninges|other",
    ),
    "brain_mets": (
        "brainMetastasesState",
        (
            "none stable treated-stable active untreated-asymptomatic treated-progressing "
            "active-asymptomatic symptomatic"
        ),
    ),
    "judgement.special_circumstances": (
        "specialCircumstance",
        "low disease burden|contraindication to HER2 therapy|long disease-free interval",
    ),
    "pathologic_response": (
        "pathologicResponse",
        "pCR|residual invasive disease|residual in situ only",
    ),
    "labs.dpyd": (
        "dpydPhenotype",
        "normal metaboliser|intermediate metaboliser|poor metaboliser",
    ),
    "labs.child_pugh": ("childPughClass", "A B C"),
    "history.interstitial_lung_disease": ("ildHistory", "none past current"),
    "history.heart_failure": ("heartFailureState", "none asymptomatic symptomatic"),
    "history.nyha_class": ("nyhaClass", "I II III IV"),
    "prior_therapies[].setting": (
        "courseSetting",
        "neoadjuvant|adjuvant|post-neoadjuvant|extended adjuvant|metastatic|maintenance",
    ),
    "prior_therapies[].outcome": (
        "courseOutcome",
        "completed progression recurrence toxicity ongoing stopped",
    ),
    "prior_therapies[].best_response": (
        "bestResponse",
        "complete response|partial response|stable disease|progressive disease",
    ),
}
for _field, _name in {"ihc": "IhcScore", "ish": "IshResult", "ish.probe": "IshProbe"}.items():
    _notations = OBJECTS[f"her2_{_field}"][1]
    OBJECTS[f"her2_tests[].{_field}"] = (f"her2Test{_name}", _notations)
OBJECTS["her2_tests[].specimen"] = ("her2TestSpecimen", "primary|metastasis|residual disease")
OBJECTS["stage"] = ("anatomicStage", "0 I IA IB II IIA IIB III IIIA IIIB IIIC IV")
# Categories have no place of their own in the record; tnm and nodes hold them.
CATEGORIES = {
    "T": "T0 Tis T1 T1mi T1a T1b T1c T2 T3 T4 T4a T4b T4c T4d",
    "N": "N0 N0(i+) N0(mol+) N1 N1mi N1a N1b N1c N2 N2a N2b N3 N3a N3b N3c",
}
LINKS = {
    "her2_tests": "hasHer2Test",
    "history.hypersensitivity": "hypersensitiveTo",
    "medications": "takesMedicine",
    "prior_therapies": "hadCourse",
    "prior_therapies[].drugs": "gaveDrug",
    "prior_therapies[].regimen": "usedRegimen",
    "prior_therapies[].adverse_events": "hadToxicity",
    "prior_therapies[].adverse_events[].event": "toxicityEvent",
}
OTHERS = {
    "string": "id=recordIdentifier tnm=tnm nodes=nodes",
    "date": "as_of=recordDate her2_tests[].date=her2TestDate birth_date=birthDate surgery_date=surgeryDate "
    "recurrence_date=recurrenceDate prior_therapies[].start=courseStart "
    "prior_therapies[].end=courseEnd prior_therapies[].progression_date=progressionDate "
    "prior_therapies[].adverse_events[].start=toxicityStart "
    "prior_therapies[].adverse_events[].resolved=toxicityResolved",
    "decimal": "age=ageYears weeks_pregnant=weeksPregnant ecog=ecogPerformanceStatus "
    "her2_ish.ratio=ishRatio her2_ish.copy_number=ishCopyNumber er_percent=erPercent "
    "pr_percent=prPercent grade=tumorGrade tumor_size_cm=tumorSizeCm "
    "clinical_tumor_size_cm=clinicalTumorSizeCm "
    "pathological_tumor_size_cm=pathologicalTumorSizeCm "
    "her2_tests[].ish.ratio=her2TestIshRatio "
    "her2_tests[].ish.copy_number=her2TestIshCopyNumber "
    "positive_nodes=positiveNodes lvef_percent=lvefPercent "
    "lvef_baseline_percent=lvefBaselinePercent "
    "labs.creatinine_clearance_ml_min=creatinineClearanceMlPerMin "
    "labs.bilirubin_x_uln=bilirubinTimesUln labs.ast_x_uln=astTimesUln "
    "labs.alt_x_uln=altTimesUln labs.platelets_10e9_per_l=platelets10e9PerL "
    "labs.anc_10e9_per_l=neutrophils10e9PerL history.neuropathy_grade=neuropathyGrade "
    "prior_therapies[].cycles=cyclesGiven prior_therapies[].adverse_events[].grade=toxicityGrade",
    "boolean": "her2_ish.recount_confirmed=ishRecountConfirmed "
    "her2_tests[].ish.recount_confirmed=her2TestIshRecountConfirmed "
    "judgement.high_risk_of_recurrence=highRiskOfRecurrence "
    "judgement.low_risk_of_recurrence=lowRiskOfRecurrence "
    "judgement.high_cardiotoxicity_risk=highCardiotoxicityRisk "
    "judgement.anthracycline_contraindicated=anthracyclineContraindicated "
    "judgement.chemotherapy_contraindicated=chemotherapyContraindicated "
    "judgement.chemotherapy_declined=chemotherapyDeclined "
    "judgement.antibody_drug_conjugate_unavailable=antibodyDrugConjugateUnavailable "
    "judgement.trastuzumab_cardiotoxicity=trastuzumabCardiotoxicity "
    "judgement.osteonecrosis_risk=osteonecrosisRisk "
    "her2_membrane_staining=her2MembraneStaining inflammatory=inflammatoryCancer "
    "invasive=invasiveCancer resectable=resectable "
    "leptomeningeal_disease=leptomeningealDisease measurable_disease=measurableDisease "
    "judgement.symptomatic_mass_effect=symptomaticMassEffect "
    "judgement.immediate_brain_therapy_needed=needsImmediateBrainTherapy "
    "judgement.visceral_crisis=visceralCrisis "
    "judgement.chemotherapy_intended=chemotherapyIntended "
    "judgement.suitable_for_endocrine_therapy=suitableForEndocrineTherapy "
    "judgement.satisfactory_alternative=satisfactoryAlternative "
    "history.ild_needed_steroids=ildNeededSteroids "
    "prior_therapies[].adverse_events[].unresolved=toxicityUnresolved",
}
TERMS = {
    "drug_trastuzumab": "drug|trastuzumab|Herceptin",
    "drug_pertuzumab": "drug|pertuzumab|Perjeta",
    "drug_docetaxel": "drug|docetaxel|Taxotere",
    "drug_paclitaxel": "drug|paclitaxel",
    "drug_carboplatin": "drug|carboplatin",
    "drug_trastuzumab_deruxtecan": "drug|trastuzumab deruxtecan|T-DXd|Enhertu",
    "drug_unspecified_taxane": "drug|taxane, agent not stated|taxane",
    "product_phesgo": "product|Phesgo",
    "regimen_tchp": "regimen|TCHP",
    "regimen_thp": "regimen|THP",
    "regimen_hp_one": "regimen|HP one|HP",
    "regimen_hp_two": "regimen|HP two|HP",
    "ae_diarrhoea": "adverse event|diarrhoea|diarrhea",
    "medicine_ketoconazole": "concomitant medicine|ketoconazole",
}
PARTS = {
    "product_phesgo": "drug_trastuzumab drug_pertuzumab",
    "regimen_tchp": "drug_docetaxel drug_carboplatin drug_trastuzumab drug_pertuzumab",
    "regimen_thp": "drug_unspecified_taxane drug_trastuzumab drug_pertuzumab",
}
CLASSES = ("Patient", "TherapyCourse", "ToxicityEpisode", "recordPath", "Her2PositivePatient")


def _words(text: str) -> list[str]:
    return text.split("|") if "|" in text else text.split()


class FakeNames:
    """Names of a graph that holds a few drugs, regimens and every record property."""

    def __init__(self) -> None:
        self._properties = {path: (BASE + name, "object") for path, name in LINKS.items()}
        self._values: dict[tuple[str, str], str] = {}
        for path, (name, notations) in OBJECTS.items():
            self._properties[path] = (BASE + name, "object")
            for notation in _words(notations):
                shared = "stable" if notation == "treated-stable" else notation
                local = f"{name}_{shared}".replace(" ", "_").replace("+", "_plus")
                self._values[BASE + name, notation] = BASE + local
        for prefix in ("clinical", "pathological", "postNeoadjuvant", "unprefixed"):
            for letter, names in CATEGORIES.items():
                for name in names.split():
                    local = f"{letter.lower()}_category_{name.lower()}"
                    self._values[f"{BASE}{prefix}{letter}", name] = BASE + local
        for kind, text in OTHERS.items():
            for pair in text.split():
                path, name = pair.split("=")
                self._properties[path] = (BASE + name, kind)
        self._terms = {BASE + name for name in [*TERMS, *CLASSES]} | set(self._values.values())
        self._terms |= {iri for iri, _ in self._properties.values()}
        self._terms |= {prop for prop, _ in self._values} | {f"{BASE}metastasisInTnm"}

    def resolve(self, name: str, kinds: tuple[str, ...]) -> str:
        known: dict[str, set[str]] = {}
        for local, text in TERMS.items():
            kind, *labels = text.split("|")
            if kind in kinds:
                for label in [local, local.partition("_")[2], *labels]:
                    known.setdefault(label.lower(), set()).add(local)
        found = sorted(known.get(name.lower(), ()))
        if len(found) == 1:
            return BASE + found[0]
        if found:
            raise UnknownTerm(name, kinds[0], found, ambiguous=True)
        raise UnknownTerm(name, kinds[0], did_you_mean(name, known))

    def ingredients(self, iri: str) -> list[str]:
        local = iri.removeprefix(BASE)
        return [BASE + part for part in PARTS.get(local, local).split()]

    def properties(self) -> dict[str, tuple[str, str]]:
        return dict(self._properties)

    def value(self, property_iri: str, notation: str) -> str:
        try:
            return self._values[property_iri, notation]
        except KeyError:
            raise UnknownTerm(notation, "value", ()) from None

    def is_term(self, iri: str) -> bool:
        return iri in self._terms
