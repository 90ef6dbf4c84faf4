#+ summary: Leave contradictions undecided
#+ description: A class that rests on contradictory facts is neither met nor refuted.
#+ tags: [system]
PREFIX her2kg: <https://w3id.org/her2kg#>

DELETE { ?x her2kg:meets ?class } WHERE { ?x her2kg:isConflicting ?class ; her2kg:meets ?class } ;
DELETE { ?x her2kg:fails ?class } WHERE { ?x her2kg:isConflicting ?class ; her2kg:fails ?class }
