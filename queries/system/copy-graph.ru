#+ summary: Copy a graph
#+ description: A patient is judged in a copy, so that the knowledge is never changed.
#+ tags: [system]

COPY GRAPH <urn:her2kg:source> TO GRAPH <urn:her2kg:target>
