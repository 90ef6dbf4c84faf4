#+ summary: Make a blank node for each IRI that stands in for one
#+ description: Triples are sent to a store in pieces, so a blank node travels as an IRI; each gets a blank node of the store.
#+ parameters:
#+   one: the IRIs
#+ tags: [system]

INSERT { [] <urn:her2kg:standsFor> ?one } WHERE { VALUES ?one { UNDEF } }
