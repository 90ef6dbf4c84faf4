#+ summary: Hold back what is judged by others under evaluation
#+ description: A patient is judged by her courses, and a course by its toxicities: the inner ones come first. Who has a value under evaluation, by a property that a class asks about, waits.
#+ tags: [system]
PREFIX her2kg: <https://w3id.org/her2kg#>

INSERT { ?x her2kg:isWaiting true } WHERE {
  ?value her2kg:isUnderEvaluation true .
  ?x ?property ?value ; her2kg:isUnderEvaluation true .
  FILTER EXISTS { ?node her2kg:exprProperty ?property ; her2kg:exprFiller ?class }
} ;
DELETE { ?x her2kg:isUnderEvaluation true } WHERE { ?x her2kg:isWaiting true }
