#+ summary: Put triples into a graph
#+ description: The triples stand in the place of the braces within the braces.
#+ tags: [system]

INSERT DATA { GRAPH <urn:her2kg:target> {} }
