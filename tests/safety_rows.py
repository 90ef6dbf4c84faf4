"""Rows of `test_criteria.py` for the classes of patients that safety rules are about.

Each class has records just inside, just outside, and records that cannot tell.
"""

from __future__ import annotations

from typing import Any

Patch = dict[str, Any]
Row = tuple[list[Patch], list[Patch], list[Patch]]

EXTENT = {"Early": ("early", "metastatic"), "Advanced": ("metastatic", "early")}


def _lab(field: str):
    return lambda value: {"labs": {field: value}}


def _lvef(value: float | None) -> Patch:
    return {"lvef_percent": value}


def _lvef_fall(points: float | None) -> Patch:
    """A fall from a baseline of 70%."""
    return {"lvef_baseline_percent": 70, "lvef_percent": None if points is None else 70 - points}


def _liver(value: float | None) -> Patch:
    return {"labs": {"ast_x_uln": value, "alt_x_uln": 0.8 if value is not None else None}}


def _liver_alt(value: float | None) -> Patch:
    return {"labs": {"ast_x_uln": 0.8 if value is not None else None, "alt_x_uln": value}}


BILIRUBIN = (_lab("bilirubin_x_uln"),)
PLATELETS = (_lab("platelets_10e9_per_l"),)
NEUTROPHILS = (_lab("anc_10e9_per_l"),)
CLEARANCE = (_lab("creatinine_clearance_ml_min"),)
LIVER = (_liver, _liver_alt)
AST = (_lab("ast_x_uln"),)
LVEF = (_lvef,)
FALL = (_lvef_fall,)


def limit(fields, inside: list[float], outside: list[float]) -> Row:
    """A class about one measured value, by values just inside and just outside of its limits."""
    return (
        [field(value) for field in fields for value in inside],
        [field(value) for field in fields for value in outside],
        [field(None) for field in fields],
    )


LIMITS: dict[str, Row] = {
    "AstAbove10UlnPatient": limit(AST, [10.1], [10]),
    "BilirubinAbove1Point5To3UlnPatient": limit(BILIRUBIN, [1.6, 3], [1.5, 3.1]),
    "BilirubinAbove1Point5To5UlnPatient": limit(BILIRUBIN, [1.6, 5], [1.5, 5.1]),
    "BilirubinAbove1To2UlnPatient": limit(BILIRUBIN, [1.1, 2], [1, 2.1]),
    "BilirubinAbove2UlnPatient": limit(BILIRUBIN, [2.1], [2]),
    "BilirubinAbove3To10UlnPatient": limit(BILIRUBIN, [3.1, 10], [3, 10.1]),
    "BilirubinAbove3UlnPatient": limit(BILIRUBIN, [3.1], [3]),
    "BilirubinAbove5UlnPatient": limit(BILIRUBIN, [5.1], [5]),
    "CreatinineClearanceBelow15Patient": limit(CLEARANCE, [14.9], [15]),
    "CreatinineClearanceBelow60Patient": limit(CLEARANCE, [59.9], [60]),
    "CreatinineClearanceFrom10To24Patient": limit(CLEARANCE, [10, 24], [9.9, 24.1]),
    "CreatinineClearanceFrom15To49Patient": limit(CLEARANCE, [15, 49], [14.9, 49.1]),
    "CreatinineClearanceFrom30To50Patient": limit(CLEARANCE, [30, 50], [29.9, 50.1]),
    "CreatinineClearanceFrom30ToBelow60Patient": limit(CLEARANCE, [30, 59.9], [29.9, 60]),
    "LvefAbove45Patient": limit(LVEF, [45.1], [45]),
    "LvefAtLeast55Patient": limit(LVEF, [55], [54.9]),
    "LvefAtMost50Patient": limit(LVEF, [50], [50.1]),
    "LvefAtMost55Patient": limit(LVEF, [55], [55.1]),
    "LvefBelow45Patient": limit(LVEF, [44.9], [45]),
    "LvefFrom40To45Patient": limit(LVEF, [40, 45], [39.9, 45.1]),
    "LvefFrom40To49Patient": limit(LVEF, [40, 49], [39.9, 49.1]),
    "LvefFrom45ToBelow50Patient": limit(LVEF, [45, 49.9], [44.9, 50]),
    "LvefFallAtLeast10PointsPatient": limit(FALL, [10], [9]),
    "LvefFallBelow10PointsPatient": limit(FALL, [9], [10]),
    "LvefFallFrom10To20PointsPatient": limit(FALL, [10, 20], [9, 21]),
    "NeutrophilsAtMost1Point5Patient": limit(NEUTROPHILS, [1.5], [1.6]),
    "NeutrophilsBelow0Point5Patient": limit(NEUTROPHILS, [0.4], [0.5]),
    "NeutrophilsFrom0Point5ToBelow1Patient": limit(NEUTROPHILS, [0.5, 0.9], [0.4, 1.0]),
    "NeutrophilsFrom1To1Point499Patient": limit(NEUTROPHILS, [1.0, 1.499], [0.9, 1.5]),
    "PlateletsAtMost100Patient": limit(PLATELETS, [100], [101]),
    "PlateletsBelow25Patient": limit(PLATELETS, [24], [25]),
    "PlateletsBelow75Patient": limit(PLATELETS, [74], [75]),
    "PlateletsFrom25ToBelow50Patient": limit(PLATELETS, [25, 49], [24, 50]),
    "PlateletsFrom25ToBelow75Patient": limit(PLATELETS, [25, 74], [24, 75]),
    "TransaminasesAbove1Point5UlnPatient": limit(LIVER, [1.6], [1.5]),
    "TransaminasesAbove2Point5UlnPatient": limit(LIVER, [2.6], [2.5]),
    "TransaminasesAbove5To20UlnPatient": limit(LIVER, [5.1, 20], [5, 20.1]),
}


def heart(inside: list[tuple[float, float]], outside: list[tuple[float, float]]) -> Row:
    """A class about the ejection fraction and its fall: pairs of baseline and newest value."""
    unknown = [{"lvef_baseline_percent": 64, "lvef_percent": None}]
    return (
        [{"lvef_baseline_percent": b, "lvef_percent": n} for b, n in inside],
        [{"lvef_baseline_percent": b, "lvef_percent": n} for b, n in outside],
        unknown,
    )


BELOW_50_FALL_10 = heart([(59.9, 49.9)], [(60, 50), (59.8, 49.9)])
HEART: dict[str, Row] = {
    "LvefBelow50AndLvefFallAtLeast10PointsPatient": BELOW_50_FALL_10,
    "LvefFrom40To45AndLvefFallBelow10PointsPatient": heart(
        [(49, 40), (54, 45)], [(50, 40), (46, 45.1)]
    ),
    "LvefFrom45ToBelow50AndLvefFallAtLeast10PointsPatient": heart(
        [(55, 45), (59.9, 49.9)], [(54, 45), (54.9, 44.9), (60, 50)]
    ),
    "LvefFrom45ToBelow50AndLvefFallBelow10PointsPatient": heart(
        [(54, 45), (59.8, 49.9)], [(55, 45), (50, 44.9), (55, 50)]
    ),
    "LvefAbove45AndLvefFallFrom10To20PointsPatient": heart(
        [(56, 46), (66, 46)], [(55, 46), (67, 46), (55, 45)]
    ),
    "LvefAtLeast50OrFallBelow10PointsPatient": heart([(70, 50), (58, 49)], [(60, 49.9)]),
    "LvefAbove45OrFrom40To45WithFallBelow10PointsPatient": heart(
        [(70, 45.1), (49, 40)], [(50, 40), (45, 39.9)]
    ),
}


def within(prefix: str, row: Row) -> Row:
    """The class confined to early or to advanced disease."""
    here, elsewhere = EXTENT[prefix]
    met, unmet, unknown = row
    return (
        [{**patch, "setting": here} for patch in met],
        [{**patch, "setting": here} for patch in unmet]
        + [{**patch, "setting": elsewhere} for patch in met],
        [{**patch, "setting": here} for patch in unknown]
        + [{**patch, "setting": None} for patch in met],
    )


FAILING: Row = (
    [{"history": {"heart_failure": "symptomatic"}}],
    [{"history": {"heart_failure": "none"}}, {"history": {"heart_failure": "asymptomatic"}}],
    [{"history": {"heart_failure": None}}],
)
PLAIN = {**LIMITS, **HEART, "SymptomaticHeartFailurePatient": FAILING}
PLAIN["LvefFrom40To45AndFallAtLeast10PointsPatient"] = heart(
    [(50, 40), (55, 45)], [(54, 45), (55.1, 45.1), (60, 39.9)]
)
PLAIN["LvefBelow40Patient"] = limit(LVEF, [39.9], [40])
PLAIN["LvefAtLeast50Patient"] = limit(LVEF, [50], [49.9])
CONFINED = [
    "AdvancedBilirubinAbove1Point5To3UlnPatient",
    "AdvancedBilirubinAbove3To10UlnPatient",
    "AdvancedLvefAbove45OrFrom40To45WithFallBelow10PointsPatient",
    "AdvancedLvefAtLeast50Patient",
    "AdvancedLvefBelow40Patient",
    "AdvancedLvefFrom40To45AndFallAtLeast10PointsPatient",
    "AdvancedLvefFrom40To45AndLvefFallBelow10PointsPatient",
    "AdvancedPlateletsFrom25ToBelow50Patient",
    "AdvancedTransaminasesAbove5To20UlnPatient",
    "EarlyBilirubinAbove1To2UlnPatient",
    "EarlyBilirubinAbove2UlnPatient",
    "EarlyLvefAtLeast50OrFallBelow10PointsPatient",
    "EarlyLvefAtLeast55Patient",
    "EarlyLvefAtMost55Patient",
    "EarlyLvefBelow45Patient",
    "EarlyLvefBelow50AndLvefFallAtLeast10PointsPatient",
    "EarlyLvefFrom45ToBelow50AndLvefFallAtLeast10PointsPatient",
    "EarlyLvefFrom45ToBelow50AndLvefFallBelow10PointsPatient",
    "EarlyPlateletsFrom25ToBelow75Patient",
    "EarlySymptomaticHeartFailurePatient",
]


def child_pugh(*inside: str) -> Row:
    outside = [grade for grade in "ABC" if grade not in inside]
    return (
        [{"labs": {"child_pugh": grade}} for grade in inside],
        [{"labs": {"child_pugh": grade}} for grade in outside],
        [{"labs": {"child_pugh": None}}],
    )


def reaction(*inside: str, outside: str = "nausea") -> Row:
    """Severe hypersensitivity: the list given is complete, so what is not in it did not happen."""
    return (
        [{"history": {"hypersensitivity": [drug]}} for drug in inside],
        [{"history": {"hypersensitivity": []}}, {"history": {"hypersensitivity": ["docetaxel"]}}],
        [{"history": {"hypersensitivity": None}}],
    )


def takes(*inside: str) -> Row:
    """A concomitant medicine; what is known of another one may leave its class open."""
    return (
        [{"medications": [medicine]} for medicine in inside],
        [{"medications": []}],
        [{"medications": None}, {"medications": ["herbal tea"]}],
    )


MEDICINES = {
    "TakesAllopurinolPatient": ["allopurinol"],
    "TakesAntacidPatient": ["antacid"],
    "TakesAnticoagulantOrAntiplateletMedicinePatient": ["warfarin", "antiplatelet medicine"],
    "TakesCyp2c9SubstratePatient": ["phenytoin"],
    "TakesCyp3aOrCyp2c8ModulatorPatient": ["ketoconazole", "gemfibrozil", "rifampin"],
    "TakesCyp3aCyp2d6OrPgpModulatorPatient": ["grapefruit", "paroxetine", "P-gp inhibitor"],
    "TakesCyp3aInhibitorPatient": ["grapefruit", "ketoconazole"],
    "TakesGastricAcidReducerPatient": ["lansoprazole", "H2 antagonist", "antacid"],
    "TakesH2AntagonistPatient": ["H2 blocker"],
    "TakesMateOct2SubstratePatient": ["metformin"],
    "TakesModerateCyp2c8InhibitorPatient": ["moderate CYP2C8 inhibitor"],
    "TakesNephrotoxicMedicinePatient": ["aminoglycoside"],
    "TakesOestrogenContraceptivePatient": ["oestrogen-containing contraceptive"],
    "TakesPgpSubstrateOrBcrpSubstratePatient": ["P-gp substrate", "BCRP substrate"],
    "TakesPgpSubstratePatient": ["P-gp substrate"],
    "TakesProtonPumpInhibitorPatient": ["lansoprazole", "PPI"],
    "TakesQtProlongingMedicineOrAntiarrhythmicPatient": ["anti-arrhythmic"],
    "TakesQtProlongingMedicinePatient": ["QT-prolonging medicine"],
    "TakesSensitiveCyp3aSubstratePatient": ["midazolam"],
    "TakesStrongCyp2d6InhibitorPatient": ["paroxetine", "fluoxetine"],
    "TakesStrongCyp3aInducerOrModerateCyp2c8InducerPatient": ["rifampin", "carbamazepine"],
    "TakesStrongOrModerateCyp3aInducerPatient": ["rifampin", "moderate CYP3A inducer"],
    "TakesStrongOrModerateCyp3aOrPgpInhibitorPatient": ["ketoconazole", "P-gp inhibitor"],
    "TakesStrongCyp3aModulatorPatient": ["ketoconazole", "rifampin"],
    "TakesStrongCyp3aInhibitorPatient": ["ketoconazole"],
    "TakesVitaminKAntagonistPatient": ["warfarin", "coumarin"],
}


def _course(drug: str, events: list[Patch] | None, **more: Any) -> Patch:
    course = {"drugs": [drug], "setting": "metastatic", "start": "2026-06-01", **more}
    if events is not None:
        course["adverse_events"] = events
    return {"prior_therapies": [course], "prior_therapies_complete": True}


def under_way(drug: str, event: str, low: int | None, high: int | None) -> Row:
    """A toxicity of some grade on a course of one drug that is still being given."""

    def found(grade: int | None, name: str = event, **more: Any) -> Patch:
        graded = {"event": name, **({} if grade is None else {"grade": grade})}
        return _course(drug, [graded], **{"outcome": "ongoing", **more})

    ended = {"outcome": "stopped", "end": "2026-08-01"}
    met = [found(low or 2)] + ([found(high)] if high and high != low else [])
    unmet = [
        _course(drug, [], outcome="ongoing"),
        found(low or 2, "alopecia"),
        found(low or 2, **ended),
        {"prior_therapies": [], "prior_therapies_complete": True},
    ]
    if low and low > 1:
        unmet.append(found(low - 1))
    if high and high < 5:
        unmet.append(found(high + 1))
    unknown = [
        _course(drug, None, outcome="ongoing"),
        {"prior_therapies": None, "prior_therapies_complete": None},
    ]
    if low:
        unknown.append(found(None))
    return met, unmet, unknown


TOXICITIES = {
    "DiarrhoeaGrade2To4OnCapecitabinePatient": ("capecitabine", "diarrhoea", 2, 4),
    "DiarrhoeaGrade3OnLapatinibPatient": ("lapatinib", "diarrhoea", 3, 3),
    "DiarrhoeaGrade3OnPyrotinibPatient": ("pyrotinib", "diarrhoea", 3, 3),
    "DiarrhoeaGrade3OnTucatinibPatient": ("tucatinib", "diarrhoea", 3, 3),
    "DiarrhoeaGrade3To4OnAbemaciclibPatient": ("abemaciclib", "diarrhoea", 3, 4),
    "DiarrhoeaGrade4OrMoreOnLapatinibPatient": ("lapatinib", "diarrhoea", 4, None),
    "DiarrhoeaGrade4OrMoreOnPyrotinibPatient": ("pyrotinib", "diarrhoea", 4, None),
    "DiarrhoeaGrade4OrMoreOnTucatinibPatient": ("tucatinib", "diarrhoea", 4, None),
    "IldGrade1OnTrastuzumabDeruxtecanPatient": ("Enhertu", "ILD", 1, 1),
    "IldGrade3OrMoreOnPalbociclibPatient": ("palbociclib", "ILD", 3, None),
    "IldGrade3OrMoreOnRibociclibPatient": ("ribociclib", "ILD", 3, None),
    "IldGrade3To4OnAbemaciclibPatient": ("abemaciclib", "ILD", 3, 4),
    "IldOnTrastuzumabPatient": ("trastuzumab", "ILD", None, None),
    "InfusionReactionGrade1To2OnMargetuximabPatient": (
        "margetuximab",
        "infusion reaction",
        1,
        2,
    ),
    "InfusionReactionGrade3OrMoreOnMargetuximabPatient": (
        "margetuximab",
        "infusion reaction",
        3,
        None,
    ),
    "InfusionReactionGrade4OnTrastuzumabEmtansinePatient": ("Kadcyla", "infusion reaction", 4, 4),
    "NeutropeniaGrade3OnAbemaciclibPatient": ("abemaciclib", "neutropenia", 3, 3),
    "NeutropeniaGrade4OrMoreOnAbemaciclibPatient": ("abemaciclib", "neutropenia", 4, None),
    "PeripheralNeuropathyGrade2OrMoreOnVinorelbinePatient": (
        "vinorelbine",
        "peripheral neuropathy",
        2,
        None,
    ),
    "PeripheralNeuropathyGrade3OrMoreOnDocetaxelPatient": (
        "docetaxel",
        "peripheral neuropathy",
        3,
        None,
    ),
    "PeripheralNeuropathyGrade3To4OnTrastuzumabEmtansinePatient": (
        "Kadcyla",
        "peripheral neuropathy",
        3,
        4,
    ),
    "PpeGrade2To3OnCapecitabinePatient": ("capecitabine", "PPE", 2, 3),
    "PpeGrade2To3OnLiposomalDoxorubicinPatient": ("liposomal doxorubicin", "PPE", 2, 3),
}

STOPPED = {"outcome": "toxicity", "end": "2026-08-01"}
INFUSION = [{"event": "infusion reaction", "grade": 3}]
ROWS: dict[str, Row] = {
    **LIMITS,
    **HEART,
    **{
        name: within(prefix, PLAIN[name.removeprefix(prefix)])
        for name in CONFINED
        for prefix in EXTENT
        if name.startswith(prefix)
    },
    "ChildPughClassAPatient": child_pugh("A"),
    "ChildPughClassBPatient": child_pugh("B"),
    "ChildPughClassCPatient": child_pugh("C"),
    "ChildPughClassBOrCPatient": child_pugh("B", "C"),
    **{
        f"HypersensitiveTo{name}Patient": reaction(name.lower())
        for name in (
            "Cyclophosphamide",
            "Eribulin",
            "Fulvestrant",
            "Gemcitabine",
            "Goserelin",
            "Tamoxifen",
        )
    },
    "HypersensitiveToPlatinumAgentPatient": reaction("carboplatin"),
    **{name: takes(*medicines) for name, medicines in MEDICINES.items()},
    **{name: under_way(*what) for name, what in TOXICITIES.items()},
    "TrastuzumabStoppedForInfusionReactionPatient": (
        [_course("trastuzumab", INFUSION, **STOPPED)],
        [
            _course("trastuzumab", INFUSION, outcome="completed", end="2026-08-01"),
            _course("trastuzumab", [{"event": "ILD", "grade": 2}], **STOPPED),
            _course("Kadcyla", INFUSION, **STOPPED),
            {"prior_therapies": [], "prior_therapies_complete": True},
        ],
        [
            _course("trastuzumab", None, **STOPPED),
            _course("trastuzumab", INFUSION, end="2026-08-01"),
            {"prior_therapies": [], "prior_therapies_complete": None},
        ],
    ),
    "DpydKnownPatient": (
        [
            {"labs": {"dpyd": found}}
            for found in ("normal metaboliser", "intermediate metaboliser", "poor metaboliser")
        ],
        [],
        [{"labs": {"dpyd": None}}],
    ),
    "Her2StatusKnownPatient": (
        [{"her2_ihc": "3+"}, {"her2_ihc": "0", "her2_ish": "not done"}],
        [],
        [{"her2_ihc": None}, {"her2_ihc": "2+"}],
    ),
    "PregnancyStatusKnownPatient": (
        [
            {"menopausal": "premenopausal", "age": 40, "pregnancy": "pregnant"},
            {"menopausal": "premenopausal", "age": 40, "pregnancy": "not pregnant"},
            {"pregnancy": None, "menopausal": "postmenopausal"},
            {"pregnancy": None, "menopausal": None, "sex": "male"},
        ],
        [],
        [{"pregnancy": None, "menopausal": "premenopausal", "age": 40}],
    ),
    "PremenopausalPatient": (
        [{"menopausal": "premenopausal", "age": 40}],
        [{"menopausal": "postmenopausal"}],
        [{"menopausal": None, "age": 40}],
    ),
}
# Classes that are never refuted: a value is known, or it is not.
NEVER_REFUTED = {
    "DpydKnownPatient",
    "Her2StatusKnownPatient",
    "PregnancyStatusKnownPatient",
}
