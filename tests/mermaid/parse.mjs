// SPDX-License-Identifier: GPL-2.0-only OR MIT
// Read a flowchart from standard input with Mermaid's own parser; print what it understood as JSON.
import { readFileSync } from "node:fs";
import { JSDOM } from "jsdom";

const { window } = new JSDOM("");
globalThis.window = window;
globalThis.document = window.document;
const { default: mermaid } = await import("mermaid");
mermaid.initialize({ maxEdges: 100000, maxTextSize: 10_000_000 });
const text = readFileSync(0, "utf8");
const diagram = await mermaid.mermaidAPI.getDiagramFromText(text);
const nodes = [...diagram.db.getVertices().entries()];
process.stdout.write(JSON.stringify({
	type: diagram.type,
	labels: Object.fromEntries(nodes.map(([id, node]) => [id, node.text])),
	edges: diagram.db.getEdges().map((edge) => [edge.start, edge.end]),
	groups: diagram.db.getSubGraphs().map((group) => group.title),
}));
