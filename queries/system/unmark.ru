#+ summary: Take the evaluation mark off every individual
#+ description: The mark tells the truth rules which individuals to look at.
#+ tags: [system]
PREFIX her2kg: <https://w3id.org/her2kg#>

DELETE { ?individual her2kg:isUnderEvaluation ?mark } WHERE { ?individual her2kg:isUnderEvaluation ?mark }
