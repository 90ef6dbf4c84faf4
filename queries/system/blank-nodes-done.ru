#+ summary: Forget which IRIs stood in for blank nodes
#+ description: Nothing is left of them in the graph.
#+ tags: [system]

DELETE { ?node <urn:her2kg:standsFor> ?one } WHERE { ?node <urn:her2kg:standsFor> ?one }
