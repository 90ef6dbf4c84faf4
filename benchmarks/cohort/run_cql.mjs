// Verdicts of the five indications by CQL:
//   node run_cql.mjs BUNDLES.ndjson VERDICTS.ndjson --as-of 2026-11-22 [--plain]
// Compiling, reading and evaluating are timed apart. Only the five defines are asked for, in one
// context a patient, so that what they share is evaluated once; --plain keeps no resources.
import { createReadStream, writeFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";
import cql from "cql-execution";
import cqlFhir from "cql-exec-fhir";
import { compile } from "./compile_cql.mjs";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { "as-of": { type: "string" }, plain: { type: "boolean" } },
});
const [input, output] = positionals;
if (!input || !output || !values["as-of"]) {
  console.error("node run_cql.mjs BUNDLES.ndjson VERDICTS.ndjson --as-of YYYY-MM-DD");
  process.exit(2);
}
// Each retrieve wraps every resource of its type anew, which takes most of the time: a patient's
// wrapped resources and their codes are kept while the patient is evaluated.
function remember(patient) {
  const find = patient.findRecords.bind(patient);
  const kept = new Map();
  patient.findRecords = (profile, details) => {
    if (!kept.has(profile)) kept.set(profile, find(profile, details).map(withCode));
    return kept.get(profile);
  };
  return patient;
}
function withCode(record) {
  const read = record.getCode.bind(record);
  const codes = {};
  record.getCode = (field) => (codes[field] ??= read(field));
  return record;
}
const seconds = (since) => (performance.now() - since) / 1000;
const said = (truth) => (truth === true ? "eligible" : truth === false ? "ineligible" : "undetermined");

let start = performance.now();
const library = new cql.Library(compile());
const wanted = Object.keys(library.expressions).filter((name) => name.startsWith("regimen_"));
const compiling = seconds(start);

start = performance.now();
const bundles = [];
for await (const line of createInterface({ input: createReadStream(input) })) {
  if (line) bundles.push(JSON.parse(line));
}
const reading = seconds(start);

start = performance.now();
const parameters = { "As of": cql.Date.parse(values["as-of"]) };
const service = new cql.CodeService({});
const at = cql.DateTime.parse(values["as-of"]);
const source = cqlFhir.PatientSource.FHIRv401();
source.loadBundles(bundles);
const rows = [];
for (let patient = source.currentPatient(); patient; patient = source.nextPatient()) {
  const context = new cql.PatientContext(
    library, values.plain ? patient : remember(patient), service, parameters, at);
  const row = { id: patient.getId() };
  for (const name of wanted) {
    row[name] = said(await library.expressions[name].execute(context));
  }
  rows.push(row);
}
const evaluating = seconds(start);
writeFileSync(output, rows.map((row) => JSON.stringify(row) + "\n").join(""));
const rate = (rows.length / evaluating).toFixed(0);
console.log(`compiled in ${compiling.toFixed(2)} s, read in ${reading.toFixed(2)} s`);
console.log(`${rows.length} patients evaluated in ${evaluating.toFixed(2)} s: ${rate} a second`);
