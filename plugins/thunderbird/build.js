// Builds the extension: dist/extension, as Thunderbird loads it, and of that one .xpi.

import { cp, mkdir, readFile, readdir, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { build } from "esbuild";
import { zipSync } from "fflate";

const SOURCE = "src";
const OUT = "dist/extension";
const XPI = "dist/recrypt-thunderbird.xpi";
// Content scripts can't be modules; all others share what they have in common.
const SCRIPTS = ["display.js", "compose.js"];
const MODULES = ["background.js", "options/options.js", "told/told.js"];
const FILES = ["manifest.json", "display.css", "page.css", "options/index.html", "told/index.html"];

const inSource = names => names.map(name => path.join(SOURCE, name));
// Not minified, so that who reviews the extension can read it.
const common = { bundle: true, outdir: OUT, outbase: SOURCE, target: "firefox140", legalComments: "eof" };

await rm("dist", { recursive: true, force: true });
await build({ ...common, entryPoints: inSource(SCRIPTS), format: "iife" });
await build({ ...common, entryPoints: inSource(MODULES), format: "esm", splitting: true });
for (const name of FILES) await cp(path.join(SOURCE, name), path.join(OUT, name));
await cp("icons", path.join(OUT, "icons"), { recursive: true });
await cp("../../LICENSE", path.join(OUT, "LICENSE"));
await mkdir(path.dirname(XPI), { recursive: true });

const entries = await readdir(OUT, { recursive: true, withFileTypes: true });
const names = entries
  .filter(each => each.isFile())
  .map(each => path.relative(OUT, path.join(each.parentPath, each.name)))
  .sort();
const contents = await Promise.all(names.map(async name => [name, await readFile(path.join(OUT, name))]));
// The same sources make the same octets.
await writeFile(XPI, zipSync(Object.fromEntries(contents), { level: 9, mtime: "1980-01-02" }));
console.log(`${XPI}: ${names.length} files`);
