// SPDX-License-Identifier: GPL-2.0-only OR MIT
"use strict";

/* How things look, and keeping what cytoscape draws the same as what the model shows. */
const WAYS = ["stale", "way-1", "way-2", "way-3"]; // the colours of the causes' paths; more causes share the last
const LANE = 5; // how far apart the paths of two causes run
const LARGE = 1200; // more elements than this: no animation, and edges rest while the picture moves

function colours() {
	const css = getComputedStyle(document.documentElement);
	const get = (name) => css.getPropertyValue(`--${name}`).trim();
	return Object.fromEntries(["ground", "surface", "raised", "line", "ink", "soft", "faint", "accent", "stale", "stale-soft", "possible", "possible-soft", "pending", "pending-soft", "fresh", "fresh-soft", "code", "edge", ...WAYS].map((n) => [n, get(n)]));
}

const wayOf = (cause) => Math.min(cause, WAYS.length - 1);
const wayColour = (cause) => `var(--${WAYS[wayOf(cause)]})`;

function look() {
	const c = colours();
	const state = (name, fill, border) => ({ selector: `node.${name}`, style: { "background-color": fill, "border-color": border } });
	return [
		{ selector: "node", style: {
			shape: "round-rectangle", width: "data(w)", height: "data(h)", label: "data(text)", "background-color": c.surface, "border-width": 1.2, "border-color": c.line,
			color: c.ink, "font-family": FAMILY, "font-size": 12, "text-valign": "center", "text-halign": "center",
			"text-wrap": "ellipsis", "text-max-width": "data(wt)", "min-zoomed-font-size": 5, "corner-radius": 7, "overlay-opacity": 0, "z-index": 14, "z-index-compare": "manual",
		} },
		{ selector: "node.group", style: { "text-wrap": "wrap", "font-weight": 600, "font-size": 14, "border-width": 1.6, "corner-radius": 10, "line-height": 1.25 } },
		{ selector: "node.file", style: { "font-size": 11, color: c.soft, "border-width": 1, "corner-radius": 6 } },
		{ selector: "node.folder", style: { "font-size": 11, "border-style": "dashed", color: c.soft, "corner-radius": 6 } },
		state("fresh.group", c["fresh-soft"], c.fresh), state("fresh.rule", c.surface, c.fresh),
		{ selector: "node.headers, node.sources", style: { "background-color": c.code, "border-color": c.faint, "border-style": "dashed" } },
		state("pending", c["pending-soft"], c.pending), state("possible", c["possible-soft"], c.possible), state("stale", c["stale-soft"], c.stale),
		{ selector: "node.module", style: { "border-width": 2.4 } },
		{ selector: "node.macro", style: { shape: "cut-rectangle" } },
		{ selector: "node.cause", style: { "background-color": c.stale, "border-color": c.stale, color: "#fff", "font-weight": 600, "font-size": 14, shape: "tag", "text-margin-x": -8 } },
		{ selector: "node.box", style: {
			"background-opacity": 0.45, "background-color": c.code, "border-style": "solid", "border-width": 1.2, "text-valign": "top", "text-halign": "center", "text-margin-y": 20, "font-size": 12, "font-weight": 600,
			color: c.soft, "text-wrap": "ellipsis", shape: "round-rectangle", "corner-radius": 12, "border-color": c.line, "z-index": "data(depth)",
		} },
		{ selector: "node.box.stale", style: { "border-color": c.stale } },
		{ selector: "edge", style: {
			width: 1.1, "line-color": c.edge, "target-arrow-color": c.edge, "target-arrow-shape": "triangle", "arrow-scale": 0.75, "curve-style": "unbundled-bezier", "control-point-distances": "data(distances)",
			"control-point-weights": "data(weights)", "edge-distances": "endpoints", "source-endpoint": "50% 0%", "target-endpoint": "-50% 0%", opacity: 0.85, "overlay-opacity": 0, "z-index": 10, "z-index-compare": "manual",
		} },
		{ selector: "edge.detour", style: { "curve-style": "round-segments", "segment-distances": "data(distances)", "segment-weights": "data(weights)", "segment-radii": [16] } },
		{ selector: "edge.large", style: { "curve-style": "haystack", "target-arrow-shape": "none", width: 0.8, opacity: 0.5 } },
		{ selector: "edge.near", style: { width: 2, "line-color": c.accent, "target-arrow-color": c.accent, opacity: 1, "z-index": 11 } },
		{ selector: "edge.lit", style: { width: 3, "line-color": c.accent, "target-arrow-color": c.accent, "arrow-scale": 1.1, opacity: 1, "z-index": 12 } },
		{ selector: "edge.lit.stale", style: { "line-color": c.stale, "target-arrow-color": c.stale } },
		...WAYS.slice(1).map((name, at) => ({ selector: `edge.lit.stale.way${at + 1}`, style: { "line-color": c[name], "target-arrow-color": c[name] } })),
		...WAYS.slice(1).map((name, at) => ({ selector: `node.cause.way${at + 1}`, style: { "background-color": c[name], "border-color": c[name] } })),
		{ selector: "edge.lane", style: { "source-endpoint": "data(from)", "target-endpoint": "data(to)" } },
		{ selector: "edge.lit.stale.maybe", style: { "line-color": c.possible, "target-arrow-color": c.possible } },
		{ selector: "edge.lit.unseen", style: { "line-style": "dashed", "line-dash-pattern": [9, 5] } },
		{ selector: "node.lit", style: { "border-width": 2.6, "z-index": 20 } },
		{ selector: ".dim", style: { opacity: 0.22 } },
		{ selector: "node.chosen", style: { "border-color": c.accent, "border-width": 3, "underlay-color": c.accent, "underlay-opacity": 0.18, "underlay-padding": 7, "underlay-shape": "round-rectangle" } },
		{ selector: "node.box.chosen", style: { "underlay-opacity": 0, "border-width": 2 } },
	];
}

class Canvas {
	constructor(model, element) {
		this.model = model;
		this.still = matchMedia("(prefers-reduced-motion: reduce)").matches;
		this.cy = cytoscape({
			container: element, style: look(), layout: { name: "preset" }, autoungrabify: true, boxSelectionEnabled: false, autounselectify: true,
			minZoom: 0.02, maxZoom: 3, hideEdgesOnViewport: false, motionBlur: false, pixelRatio: "auto",
		});
		this.places = new Map();
		this.ways = [];
		this.lit = new Set();
		this.focused = false;
		this.chosen = -1;
	}

	/* What is to be lit: `way` says in which colour. */
	light(ways) {
		this.ways = ways;
		this.lit = new Set(ways.flatMap(({ edges }) => [...edges]));
	}

	/* Bring the picture to what the model shows now. `from`: the node that was folded or unfolded. */
	draw(from = -1) {
		const model = this.model, cy = this.cy;
		const edges = model.shownEdges();
		const before = this.places;
		const places = (this.places = layOut(model, edges));
		const shown = model.shown();
		const large = shown.length + edges.length > LARGE;
		const moving = !large && !this.still && cy.elements().nonempty();
		this.anchor(before, places, from);
		cy.batch(() => {
			const wanted = new Set([...shown.map(String), ...edges.map((edge) => edge.key)]);
			cy.elements().filter((ele) => !wanted.has(ele.id())).remove();
			const added = [];
			for (const id of shown) {
				const node = model.nodes[id], place = places.get(id), open = model.unfolded.has(id);
				const data = { id: String(id), text: textOf(model, node), w: place.w, h: place.h, wt: Math.max(place.w - 14, 30), depth: model.ancestors(id).length };
				const classes = open ? `box ${node.state}` : [node.kind, node.state, node.kind in WORDS ? "group" : ""].join(" ");
				const old = cy.getElementById(String(id));
				if (old.nonempty()) {
					old.data(data).classes(classes);
					continue;
				}
				const start = moving && !open ? before.get(from) ?? place : place;
				added.push({ group: "nodes", data, classes, position: { x: start.x, y: start.y } });
			}
			cy.add(added);
			const lines = [];
			for (const edge of edges) {
				const old = cy.getElementById(edge.key);
				if (old.nonempty()) old.scratch("_edges", edge.edges);
				else lines.push({ group: "edges", data: { id: edge.key, source: String(edge.source), target: String(edge.target), distances: [0, 0], weights: [0.3, 0.7] }, classes: [edge.taken ? "" : "unseen", large ? "large" : ""].join(" "), scratch: { _edges: edge.edges } });
			}
			cy.add(lines);
			for (const edge of edges) {
				cy.getElementById(edge.key).data(bend(places.get(edge.source), places.get(edge.target))).toggleClass("large", large);
			}
		});
		this.settings(large);
		for (const id of shown) {
			const place = places.get(id), ele = cy.getElementById(String(id));
			if (moving) ele.stop().animate({ position: { x: place.x, y: place.y } }, { duration: 220, easing: "ease-out" });
			else ele.position({ x: place.x, y: place.y });
		}
		this.paint();
	}

	/* Keep the node that was clicked where it is on the screen: shift everything else. */
	anchor(before, places, from) {
		const was = before.get(from), now = places.get(from);
		if (!was || !now) return;
		const left = (p) => p.x - p.w / 2, top = (p) => p.y - p.h / 2;
		const dx = left(was) - left(now), dy = top(was) - top(now);
		for (const place of places.values()) {
			place.x += dx;
			place.y += dy;
		}
	}

	settings(large) {
		const renderer = this.cy.renderer();
		renderer.hideEdgesOnViewport = large;
		renderer.textureOnViewport = large;
	}

	/* Mark what is lit, chosen and near. */
	paint() {
		const { cy, model } = this;
		const chosen = this.chosen >= 0 ? String(model.shownAs(this.chosen)) : "";
		// Before the batch: one of the same name that is added within it would never get its style.
		cy.edges(".extra").remove();
		cy.batch(() => {
			cy.elements().removeClass("lit maybe dim near chosen lane way1 way2 way3");
			const lanes = [];
			this.straighten();
			const ends = new Set();
			cy.edges().forEach((edge) => {
				const lit = edge.scratch("_edges").filter((id) => this.lit.has(id));
				if (lit.length) {
					edge.addClass("lit").toggleClass("stale", lit.some((id) => model.edges[id].stale));
					// Where only the content can tell: what is read, or what reads it, is possibly stale.
					const unsure = (id) => [model.edges[id].source, model.edges[id].target].some((end) => model.nodes[end].state === "possible");
					if (lit.every(unsure)) edge.addClass("maybe");
					ends.add(edge.source().id()).add(edge.target().id());
					const ways = [...new Set(this.ways.filter(({ edges }) => lit.some((id) => edges.has(id))).map(({ way }) => wayOf(way)))];
					lanes.push(...this.inLanes(edge, ways));
				}
			});
			cy.add(lanes);
			for (const { way, nodes } of this.causes()) for (const id of nodes) cy.getElementById(String(this.model.shownAs(id))).addClass(`way${way}`);
			for (const id of this.lit) for (const end of [model.edges[id].source, model.edges[id].target]) ends.add(String(model.shownAs(end)));
			for (const id of ends) cy.getElementById(id).addClass("lit");
			if (this.focused && this.lit.size) {
				cy.elements().not(".lit").not(".box").addClass("dim");
			}
			if (!chosen) return;
			const node = cy.getElementById(chosen);
			node.addClass("chosen").removeClass("dim");
			let edges = node.connectedEdges();
			if (edges.empty() && !this.isGridless(Number(chosen))) edges = cy.add(this.ownEdges(Number(chosen)));
			edges.addClass("near").removeClass("dim");
			edges.connectedNodes().addClass("near").removeClass("dim");
		});
	}

	/* Give each cause a line of its own beside the others'; the first one is the edge itself. Returns what is to be added. */
	inLanes(edge, ways) {
		edge.addClass(`way${ways[0]}`);
		if (edge.hasClass("large")) return [];
		const added = [];
		ways.forEach((way, at) => {
			const lane = (at - (ways.length - 1) / 2) * LANE;
			const led = this.lead(edge, lane);
			const data = { ...led, from: `50% ${lane}px`, to: `-50% ${lane}px` };
			const classes = [...edge.classes().filter((name) => !/^(way\d|detour|lane)$/.test(name)), "lane", `way${way}`, ...(led.detour ? ["detour"] : [])];
			if (!at) edge.data(data).classes(classes);
			else added.push({ group: "edges", data: { ...edge.data(), ...data, id: `${edge.id()}#${way}` }, classes: [...classes, "extra"], scratch: { _edges: edge.scratch("_edges") } });
		});
		return added;
	}

	causes() { return this.model.data.lit.map(({ nodes }, cause) => ({ way: wayOf(cause), nodes })); }

	/* Lead what is lit around what it would run behind. */
	lead(edge, lane) {
		const ends = [edge.source(), edge.target()].map((node) => Number(node.id()));
		const places = ends.map((id) => this.places.get(id));
		const others = [...this.places].filter(([id]) => !ends.includes(id) && !this.model.unfolded.has(id)).map(([, place]) => place);
		const way = detour(...places, others, lane);
		return way ? { ...way, detour: true } : { ...bend(...places, lane), detour: false };
	}

	straighten() {
		this.cy.edges(".detour, .lane").forEach((edge) => {
			edge.data(bend(...[edge.source(), edge.target()].map((node) => this.places.get(Number(node.id()))))).removeClass("detour lane");
		});
	}

	isGridless(id) { return this.model.endsAt(id) === id; }

	/* The edges of a file in a grid, shown while it is chosen. */
	ownEdges(id) {
		const { model } = this;
		const ends = new Set();
		for (const inner of model.inside(id)) {
			for (const edge of model.outOf[inner]) ends.add("o" + model.endsAt(model.edges[edge].target));
			for (const edge of model.into[inner]) ends.add("i" + model.endsAt(model.edges[edge].source));
		}
		const mine = this.places.get(id);
		return [...ends].map((end) => {
			const other = Number(end.slice(1)), theirs = this.places.get(other);
			const [from, to, a, b] = end[0] === "o" ? [id, other, mine, theirs] : [other, id, theirs, mine];
			return { group: "edges", data: { id: `x${from}>${to}`, source: String(from), target: String(to), ...bend(a, b) }, classes: "extra", scratch: { _edges: [] } };
		});
	}

	restyle() { this.cy.style().fromJson(look()).update(); }

	fit() {
		const box = this.box();
		if (!box) return;
		const cy = this.cy, pad = 40;
		const zoom = Math.min((cy.width() - 2 * pad) / box.w, (cy.height() - 2 * pad - 30) / box.h, 1.15);
		this.go(zoom, { x: box.x, y: box.y });
	}

	/* The box around everything, from where things are going, not from where they are now. */
	box(ids = [...this.places.keys()]) {
		if (!ids.length) return null;
		let [left, right, up, down] = [Infinity, -Infinity, Infinity, -Infinity];
		for (const id of ids) {
			const { x, y, w, h } = this.places.get(id);
			left = Math.min(left, x - w / 2);
			right = Math.max(right, x + w / 2);
			up = Math.min(up, y - h / 2);
			down = Math.max(down, y + h / 2);
		}
		return { x: (left + right) / 2, y: (up + down) / 2, w: right - left, h: down - up };
	}

	go(zoom, centre) {
		const cy = this.cy;
		const pan = { x: cy.width() / 2 - centre.x * zoom, y: cy.height() / 2 - centre.y * zoom };
		if (this.still) cy.viewport({ zoom, pan });
		else cy.stop().animate({ zoom, pan }, { duration: 260, easing: "ease-out" });
	}

	/* Bring a node into view, near enough to be read. */
	visit(id) {
		const place = this.places.get(this.model.shownAs(id));
		if (place) this.go(Math.max(this.cy.zoom(), 0.9), place);
	}
}
