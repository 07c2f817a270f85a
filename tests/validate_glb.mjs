// Runs the Khronos glTF validator: node validate_glb.mjs FOLDER_OF_NODE_MODULES FILE…; prints one JSON report a line.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { resolve } from "node:path";

const [modules, ...files] = process.argv.slice(2);
const validator = createRequire(resolve(modules, "package.json"))("gltf-validator");
for (const file of files) {
  const report = await validator.validateBytes(new Uint8Array(readFileSync(file)), { maxIssues: 50 });
  const { numErrors, numWarnings, messages } = report.issues;
  console.log(JSON.stringify({ numErrors, numWarnings, messages: messages.slice(0, 10), info: report.info }));
}
