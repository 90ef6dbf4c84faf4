#+ summary: Put blank nodes where IRIs stand in for them
#+ description: Moves what is said of and with such an IRI to its blank node.
#+ parameters:
#+   one: the IRIs
#+ tags: [system]

DELETE { ?one ?property ?value } INSERT { ?node ?property ?value } WHERE {
  VALUES ?one { UNDEF }
  ?one ?property ?value .
  ?node <urn:her2kg:standsFor> ?one .
} ;
DELETE { ?thing ?property ?one } INSERT { ?thing ?property ?node } WHERE {
  VALUES ?one { UNDEF }
  ?thing ?property ?one .
  ?node <urn:her2kg:standsFor> ?one .
  FILTER(?property != <urn:her2kg:standsFor>)
}
