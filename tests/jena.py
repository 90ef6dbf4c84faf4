"""Apache Jena ARQ, from Debian's package, as one more store for the tests.

    python tests/jena.py    reads requests and writes answers, one JSON object a line

The JVM runs in this process of its own, because the JVM of the tests holds other libraries.
"""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

JARS = Path("/usr/share/java")
# Names of the jars that ARQ needs; two bindings of the log framework exclude each other.
_NEEDED = """jena-arq jena-base jena-core jena-iri jena-shaded-guava commons-cli commons-codec
commons-compress commons-csv commons-io commons-lang3 dexx.collection gson guava httpclient httpcore
httpmime jackson-annotations jackson-core jackson-databind jsonld-java jakarta.json
jakarta.json-api jcl-over-slf4j libthrift thrift protobuf slf4j-api slf4j-nop titanium-json-ld
failureaccess"""
_INSIDE = "org/apache/jena/ext/xerces/"


def installed() -> bool:
    return (JARS / "jena-arq.jar").exists()


def class_path(shim: Path) -> list[str]:
    """The jars, and a folder with the message files that Debian's jar holds in another place."""
    with zipfile.ZipFile(JARS / "jena-core.jar") as jar:
        for name in jar.namelist():
            if name.startswith(_INSIDE) and name.endswith(".properties"):
                target = shim / "xerces" / name.removeprefix(_INSIDE)
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(jar.read(name))
    found = [JARS / f"{name}.jar" for name in _NEEDED.split()]
    return [*(str(path) for path in found if path.exists()), str(shim)]


class Jena:
    """A process with datasets in memory, asked line by line."""

    def __init__(self, shim: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__, *class_path(shim)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )

    def ask(self, **request: Any) -> Any:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("Jena ended without an answer")
        answer = json.loads(line)
        if "error" in answer:
            raise RuntimeError(f"Jena: {answer['error']}")
        return answer["value"]

    def close(self) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait(timeout=30)


def serve(jars: list[str]) -> None:
    """Answer requests until the input ends."""
    import jpype

    jpype.startJVM("-Xmx2g", classpath=jars)
    jena = jpype.JPackage("org").apache.jena
    model_factory = jena.rdf.model.ModelFactory
    models: dict[str, Any] = {}
    jena.query.ARQ.init()

    def load(store: str, path: str) -> int:
        models[store] = model_factory.createDefaultModel()
        jena.riot.RDFDataMgr.read(models[store], path)
        return int(models[store].size())

    def select(store: str, query: str) -> Any:
        out = jpype.JClass("java.io.ByteArrayOutputStream")()
        with jena.query.QueryExecutionFactory.create(query, models[store]) as run:
            parsed = run.getQuery()
            if parsed.isAskType():
                return {"head": {}, "boolean": bool(run.execAsk())}
            if parsed.isConstructType():
                run.execConstruct().write(out, "N-TRIPLES")
                return str(out.toString("UTF-8"))
            jena.query.ResultSetFormatter.outputAsJSON(out, run.execSelect())
        return json.loads(str(out.toString("UTF-8")))

    def update(store: str, update: str) -> None:
        jena.update.UpdateAction.parseExecute(update, models[store])

    actions = {"load": load, "select": select, "update": update}
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = {"value": actions[request.pop("do")](**request)}
        except jpype.JException as error:
            answer = {"error": str(error)[:2000]}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    serve(sys.argv[1:])
