// Compile indications.cql to ELM: node compile_cql.mjs [OUT.json]
// The translator asks for the model of the types of CQL and for that of FHIR; the first is beside
// this file, the second comes with cql-exec-fhir.
import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import {
  CqlTranslator, LibraryManager, ModelManager, createModelInfoProvider, stringAsSource,
} from "@cqframework/cql/cql-to-elm";

const here = dirname(fileURLToPath(import.meta.url));
const fhir = dirname(createRequire(import.meta.url).resolve("cql-exec-fhir"));
const models = {
  System: join(here, "system-modelinfo.xml"),
  FHIR: join(fhir, "modelInfos", "fhir-modelinfo-4.0.1.xml"),
};

export function compile(path = join(here, "indications.cql")) {
  const manager = new ModelManager();
  const provider = createModelInfoProvider((name) =>
    models[name] ? stringAsSource(readFileSync(models[name], "utf8")) : null);
  manager.modelInfoLoader.registerModelInfoProvider(provider);
  const translator = CqlTranslator.fromText(readFileSync(path, "utf8"), new LibraryManager(manager));
  const elm = JSON.parse(translator.toJson());
  const errors = (elm.library.annotation ?? []).filter((each) => each.errorSeverity === "error");
  if (errors.length) {
    throw new Error(errors.map((e) => `${e.startLine}:${e.startChar} ${e.message}`).join("\n"));
  }
  return elm;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const out = process.argv[2] ?? join(here, "indications.elm.json");
  writeFileSync(out, JSON.stringify(compile()));
}
