#+ summary: End the turns
#+ description: All that had a turn are under evaluation again.
#+ tags: [system]
PREFIX her2kg: <https://w3id.org/her2kg#>

DELETE { ?x her2kg:isDone true } INSERT { ?x her2kg:isUnderEvaluation true } WHERE { ?x her2kg:isDone true }
