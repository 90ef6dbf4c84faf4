#+ summary: Copy what is said of some things from one graph into another
#+ description: Keeps evaluated patients in a graph of their own. A blank node is named by the IRI that stood in for it.
#+ parameters:
#+   thing: IRIs of the things
#+ tags: [system]

INSERT { GRAPH <urn:her2kg:target> { ?thing ?property ?value } } WHERE {
  VALUES ?thing { UNDEF }
  GRAPH <urn:her2kg:source> { ?thing ?property ?value }
} ;
INSERT { GRAPH <urn:her2kg:target> { ?node ?property ?value } } WHERE {
  VALUES ?thing { UNDEF }
  GRAPH <urn:her2kg:source> { ?node <urn:her2kg:standsFor> ?thing . ?node ?property ?value }
  FILTER(?property != <urn:her2kg:standsFor>)
}
