// Runs the cases against the gateway at OMNI_URL with the keys OMNI_KEY and OMNI_TEST_KEY; prints one JSON object.
import { cases } from "./cases.js";

const results = {};
for (const [name, run] of Object.entries(cases)) {
  try {
    await run();
    results[name] = null;
  } catch (error) {
    results[name] = String(error?.stack ?? error);
  }
}
process.stdout.write(JSON.stringify(results));
