#+ summary: Mark the contradictions and forget what was derived
#+ description: What rests on contradictory facts is to count as unknown, so the truth rules run again without it.
#+ tags: [system]
PREFIX her2kg: <https://w3id.org/her2kg#>

INSERT { ?x her2kg:isConflicting ?class } WHERE {
  ?x her2kg:isUnderEvaluation true ; her2kg:meets ?class ; her2kg:fails ?class .
} ;
DELETE { ?x her2kg:meets ?met } WHERE { ?x her2kg:isUnderEvaluation true ; her2kg:meets ?met } ;
DELETE { ?x her2kg:fails ?unmet } WHERE { ?x her2kg:isUnderEvaluation true ; her2kg:fails ?unmet }
