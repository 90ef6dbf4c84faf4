#+ summary: Give the next ones their turn
#+ description: Those under evaluation are done; of those that wait, the ones whose values are all done come under evaluation.
#+ tags: [system]
PREFIX her2kg: <https://w3id.org/her2kg#>

DELETE { ?x her2kg:isUnderEvaluation true } INSERT { ?x her2kg:isDone true } WHERE { ?x her2kg:isUnderEvaluation true } ;
INSERT { ?x her2kg:isUnderEvaluation true } WHERE {
  ?x her2kg:isWaiting true .
  FILTER NOT EXISTS { ?x ?property ?value . ?value her2kg:isWaiting true . ?node her2kg:exprProperty ?property ; her2kg:exprFiller ?class }
} ;
DELETE { ?x her2kg:isWaiting true } WHERE { ?x her2kg:isUnderEvaluation true }
