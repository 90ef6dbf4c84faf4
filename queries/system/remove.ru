#+ summary: Remove all that is said of some things
#+ description: Takes out a patient who was put into the graph, with what was derived. A blank node is named by the IRI that stood in for it.
#+ parameters:
#+   thing: IRIs of the things
#+ tags: [system]

DELETE { ?thing ?property ?value } WHERE {
  VALUES ?thing { UNDEF }
  ?thing ?property ?value .
} ;
DELETE { ?node ?property ?value } WHERE {
  VALUES ?thing { UNDEF }
  ?node <urn:her2kg:standsFor> ?thing .
  ?node ?property ?value .
}
