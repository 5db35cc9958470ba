// SPDX-License-Identifier: GPL-2.0-only OR MIT
"use strict";

/* Where everything goes: layers from left (what is read) to right (what reads it), by dagre; grids by rows.

   Sizes are in the graph's own units, which are pixels at zoom 1. Positions are of centres. */
const SIZES = { row: 26, gap: 8, pad: 16, title: 34, file: [70, 260], group: [116, 320], rule: [90, 34] };
const FAMILY = 'system-ui, "Segoe UI", Roboto, "Noto Sans", sans-serif';
const FONT = `12px ${FAMILY}`;

/* What each kind of group is called. */
const WORDS = {
	crate: "crate", macro: "proc macro", module: "module", headers: "headers", generated: "generated", tool: "tool", sources: "sources",
};

const ruler = document.createElement("canvas").getContext("2d");

function textWidth(text, font = FONT) {
	ruler.font = font;
	return ruler.measureText(text).width;
}

function sizeOf(model, id) {
	const node = model.nodes[id];
	const width = Math.ceil(textWidth(node.label)) + 26;
	if (node.kind === "file") return { w: clamp(width - 8, ...SIZES.file), h: SIZES.row };
	if (node.kind === "folder") return { w: clamp(width + 30, 90, 300), h: SIZES.row };
	if (node.kind === "rule") return { w: clamp(width, SIZES.rule[0], 300), h: SIZES.rule[1] };
	if (node.kind === "cause") return { w: clamp(width * 1.2 + 26, 110, 420), h: 38 };
	const lines = textOf(model, node).split("\n").map((line) => textWidth(line, `600 14px ${FAMILY}`));
	return { w: clamp(Math.ceil(Math.max(...lines)) + 20, ...SIZES.group), h: SIZES.row * 1.8 };
}

/* What stands in a node. */
function textOf(model, node) {
	if (node.kind === "folder") return `${node.label}  ·  ${node.files}`;
	if (!(node.kind in WORDS) || model.unfolded.has(node.id)) return node.label;
	const files = node.files ? ` · ${node.files} file${node.files === 1 ? "" : "s"}` : "";
	return `${node.label}\n${WORDS[node.kind]}${files}`;
}

/* How wide an unfolded box must be for its title. */
const titleWidth = (model, id) => Math.ceil(textWidth(textOf(model, model.nodes[id]), `600 ${FONT}`)) + 2 * SIZES.pad;

const clamp = (value, least, most) => Math.min(Math.max(value, least), most);

/* Pack the children of a grid into rows; returns its size and where each leaf within is, from its upper left corner. */
function packGrid(model, id) {
	const tiles = model.children(id).map((child) => {
		if (model.unfolded.has(child)) {
			const { w, h, places } = packGrid(model, child);
			return { child, w, h, places };
		}
		return { child, ...sizeOf(model, child) };
	});
	tiles.sort((a, b) => (a.places ? 1 : 0) - (b.places ? 1 : 0) || model.nodes[a.child].label.localeCompare(model.nodes[b.child].label));
	const area = tiles.reduce((sum, tile) => sum + (tile.w + SIZES.gap) * (tile.h + SIZES.gap), 0);
	const wide = Math.max(Math.sqrt(area * 1.7), ...tiles.map((tile) => tile.w));
	const places = new Map();
	let x = SIZES.pad, y = SIZES.title, tall = 0, right = 0;
	for (const tile of tiles) {
		if (x > SIZES.pad && x + tile.w > wide + SIZES.pad) {
			x = SIZES.pad;
			y += tall + SIZES.gap;
			tall = 0;
		}
		places.set(tile.child, { x: x + tile.w / 2, y: y + tile.h / 2, w: tile.w, h: tile.h });
		for (const [at, place] of tile.places ?? []) places.set(at, { ...place, x: place.x + x, y: place.y + y });
		x += tile.w + SIZES.gap;
		tall = Math.max(tall, tile.h);
		right = Math.max(right, x - SIZES.gap);
	}
	return { w: Math.max(right + SIZES.pad, titleWidth(model, id)), h: y + tall + SIZES.pad, places };
}

/* Lay out one box, or everything: boxes within are laid out first, and are then nodes of their size.

   Returns its size and where each node within is, from its upper left corner. */
function layOutBox(model, ids, edges) {
	const graph = new dagre.graphlib.Graph();
	graph.setGraph({ rankdir: "LR", nodesep: 16, ranksep: 36, edgesep: 6, ranker: ids.length > 400 ? "longest-path" : "network-simplex" });
	graph.setDefaultEdgeLabel(() => ({}));
	const inner = new Map();
	const mine = new Map(); // any node within → which of `ids` it lies in
	for (const id of ids) {
		let size = sizeOf(model, id);
		if (model.unfolded.has(id)) {
			const box = model.nodes[id].grid ? packGrid(model, id) : pad(layOutBox(model, model.children(id), edges), titleWidth(model, id));
			inner.set(id, box);
			size = box;
			for (const at of box.places.keys()) mine.set(at, id);
		}
		mine.set(id, id);
		graph.setNode(String(id), { width: size.w, height: size.h });
	}
	for (const edge of edges) {
		const source = mine.get(edge.source), target = mine.get(edge.target);
		if (source === undefined || target === undefined || source === target) continue;
		const old = graph.edge(String(source), String(target));
		graph.setEdge(String(source), String(target), { weight: Math.max(old?.weight ?? 1, edge.stale ? 3 : 1) });
	}
	dagre.layout(graph);
	const places = new Map();
	for (const id of ids) {
		const { x, y, width, height } = graph.node(String(id));
		places.set(id, { x, y, w: width, h: height });
		for (const [at, place] of inner.get(id)?.places ?? []) places.set(at, { ...place, x: x - width / 2 + place.x, y: y - height / 2 + place.y });
	}
	const { width, height } = graph.graph();
	return { w: width || 0, h: height || 0, places };
}

/* Make room around what lies in a box, and for its title. */
function pad({ w, h, places }, least) {
	for (const place of places.values()) {
		place.x += SIZES.pad;
		place.y += SIZES.title;
	}
	return { w: Math.max(w + 2 * SIZES.pad, least), h: h + SIZES.title + SIZES.pad, places };
}

/* Returns a map from every node that is shown to {x, y, w, h}. */
function layOut(model, edges) {
	return layOutBox(model, model.children(-1), edges).places;
}
