#+ summary: Put blank nodes where IRIs stand in for them
#+ description: Moves what is said of and with such an IRI to its blank node.
#+ tags: [system]

DELETE { ?one ?property ?value } INSERT { ?node ?property ?value } WHERE {
  ?node <urn:her2kg:standsFor> ?one .
  ?one ?property ?value .
} ;
DELETE { ?thing ?property ?one } INSERT { ?thing ?property ?node } WHERE {
  ?node <urn:her2kg:standsFor> ?one .
  ?thing ?property ?one .
  FILTER(?property != <urn:her2kg:standsFor>)
}
