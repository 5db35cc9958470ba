// SPDX-License-Identifier: GPL-2.0-only OR MIT
"use strict";

/* The data, and what of it is unfolded. Knows nothing of drawing. */
class Model {
	constructor(data) {
		this.data = data;
		this.nodes = data.nodes.map(([kind, label, path, parent, state], id) => ({ id, kind, label, path, parent, state, children: [], files: 0 }));
		for (const node of this.nodes) {
			if (node.parent >= 0) this.nodes[node.parent].children.push(node.id);
		}
		for (const node of this.nodes) {
			if (node.kind !== "file") continue;
			for (let at = node.parent; at >= 0; at = this.nodes[at].parent) this.nodes[at].files++;
		}
		this.outermost = this.nodes.filter((node) => node.parent < 0).map((node) => node.id);
		// What holds nothing but files and folders is drawn as a grid: files have no order among themselves.
		for (const node of this.nodes) {
			node.grid = node.children.length > 0 && node.children.every((c) => ["file", "folder"].includes(this.nodes[c].kind));
		}
		this.edges = data.edges.map(([source, target, flags, via], id) => ({ id, source, target, taken: !!(flags & 1), stale: !!(flags & 2), via }));
		this.into = this.nodes.map(() => []);
		this.outOf = this.nodes.map(() => []);
		for (const edge of this.edges) {
			this.into[edge.target].push(edge.id);
			this.outOf[edge.source].push(edge.id);
		}
		this.unfolded = new Set();
		this.onlyStale = false;
		this.stale = new Set();
		const ends = data.lit.flatMap((cause) => cause.edges).flatMap((id) => [this.edges[id].source, this.edges[id].target]);
		for (const id of [...this.nodes.filter((node) => node.state !== "fresh" || node.kind === "cause").map((node) => node.id), ...ends]) {
			for (const at of [id, ...this.ancestors(id)]) this.stale.add(at);
		}
	}

	/* Whether a node is in the picture at all, folded away or not. */
	isKept(id) { return !this.onlyStale || this.stale.has(id); }

	/* What lies in a node; -1: in none. */
	children(id) { return (id < 0 ? this.outermost : this.nodes[id].children).filter((child) => this.isKept(child)); }

	isContainer(id) { return this.children(id).length > 0; }

	ancestors(id) {
		const found = [];
		for (let at = this.nodes[id].parent; at >= 0; at = this.nodes[at].parent) found.push(at);
		return found;
	}

	/* The node that stands for another one at the moment: itself, or the outermost folded one around it. */
	shownAs(id) {
		let shown = id;
		for (const above of this.ancestors(id)) if (!this.unfolded.has(above)) shown = above;
		return shown;
	}

	/* Where its edges end: files in a grid have none of their own, the grid has them. */
	endsAt(id) {
		const shown = this.shownAs(id);
		let end = shown;
		for (const above of this.ancestors(shown)) if (this.nodes[above].grid) end = above;
		return end;
	}

	isShown(id) { return this.shownAs(id) === id; }

	/* Unfold whatever lies around a node. */
	reveal(id) { for (const above of this.ancestors(id)) this.unfolded.add(above); }

	toggle(id) {
		if (this.unfolded.delete(id)) {
			// What was unfolded within is folded when it comes back.
			const waiting = [...this.nodes[id].children];
			while (waiting.length) {
				const at = waiting.pop();
				this.unfolded.delete(at);
				waiting.push(...this.nodes[at].children);
			}
		} else if (this.isContainer(id)) {
			this.unfolded.add(id);
			// A lone box in a box says nothing: open it as well.
			const [only, ...more] = this.children(id);
			if (!more.length && this.isContainer(only)) this.unfolded.add(only);
		}
	}

	shown() {
		const found = [];
		const waiting = this.children(-1).reverse();
		while (waiting.length) {
			const id = waiting.pop();
			found.push(id);
			if (this.unfolded.has(id)) waiting.push(...this.children(id).reverse());
		}
		return found;
	}

	/* The edges between what is shown, each once. */
	shownEdges() {
		const merged = new Map();
		const ends = new Map();
		const endOf = (id) => {
			if (!ends.has(id)) ends.set(id, this.endsAt(id));
			return ends.get(id);
		};
		for (const edge of this.edges) {
			if (!this.isKept(edge.source) || !this.isKept(edge.target)) continue;
			const source = endOf(edge.source), target = endOf(edge.target);
			if (source === target || this.isWithin(source, target) || this.isWithin(target, source)) continue;
			const key = source + ">" + target;
			let found = merged.get(key);
			if (!found) merged.set(key, (found = { key, source, target, edges: [], taken: false, stale: false }));
			found.edges.push(edge.id);
			found.taken ||= edge.taken;
			found.stale ||= edge.stale;
		}
		return [...merged.values()];
	}

	isWithin(id, outer) {
		for (let at = this.nodes[id].parent; at >= 0; at = this.nodes[at].parent) if (at === outer) return true;
		return false;
	}

	/* Every edge on a way from a node on. */
	waysFrom(id) {
		const starts = this.isContainer(id) ? this.inside(id) : [id];
		const edges = new Set(), seen = new Set(starts);
		const waiting = [...starts];
		while (waiting.length) {
			for (const edge of this.outOf[waiting.pop()]) {
				edges.add(edge);
				const target = this.edges[edge].target;
				if (!seen.has(target)) {
					seen.add(target);
					waiting.push(target);
				}
			}
		}
		return edges;
	}

	inside(id) {
		const found = [];
		const waiting = [id];
		while (waiting.length) {
			const at = waiting.pop();
			found.push(at);
			waiting.push(...this.nodes[at].children);
		}
		return found;
	}

	/* Nodes whose name has every word of a query, best first. */
	search(query, limit = 40) {
		const words = query.toLowerCase().split(/\s+/).filter(Boolean);
		if (!words.length) return [];
		const scored = [];
		for (const node of this.nodes) {
			const label = node.label.toLowerCase(), path = node.path.toLowerCase();
			if (!words.every((word) => label.includes(word) || path.includes(word))) continue;
			const first = words[0], name = label.replace(/^.*\//, "");
			const rank = (label === first || name === first || name.replace(/\.[^.]*$/, "") === first ? 0 : label.startsWith(first) ? 1 : label.includes(first) ? 2 : 3)
				+ (node.kind === "file" || node.kind === "folder" ? 0.5 : 0) - (node.state !== "fresh" ? 0.3 : 0);
			scored.push([rank, label.length, node.id]);
		}
		scored.sort((a, b) => a[0] - b[0] || a[1] - b[1] || a[2] - b[2]);
		return scored.slice(0, limit).map((entry) => entry[2]);
	}
}
