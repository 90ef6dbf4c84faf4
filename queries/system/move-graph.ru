#+ summary: Put a graph in the place of another
#+ description: What was loaded completely takes the place of what was there.
#+ tags: [system]

MOVE GRAPH <urn:her2kg:source> TO GRAPH <urn:her2kg:target>
