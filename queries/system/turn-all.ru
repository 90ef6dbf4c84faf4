#+ summary: Give everyone a turn
#+ description: Those that wait for one another in a ring come under evaluation together.
#+ tags: [system]
PREFIX her2kg: <https://w3id.org/her2kg#>

DELETE { ?x her2kg:isWaiting true } INSERT { ?x her2kg:isUnderEvaluation true } WHERE { ?x her2kg:isWaiting true }
