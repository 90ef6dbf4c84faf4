#+ summary: Drop a graph, if it is there
#+ description: Ends a copy, or what was loaded in part.
#+ tags: [system]

DROP SILENT GRAPH <urn:her2kg:target>
