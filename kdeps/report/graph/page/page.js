// SPDX-License-Identifier: GPL-2.0-only OR MIT
"use strict";

/* The page: what happens on a click, a key, a word typed into the search. */
const KEYS = [
	["/", "search"], ["↑ ↓ ← →", "move to a neighbour"], ["Enter", "unfold or fold"], ["p", "the path of the next cause alone"], ["s", "only what is stale"], ["r", "what the chosen node reaches"],
	["f", "show everything"], ["c", "fold everything"], ["+ −", "nearer, farther"], ["t", "light or dark"], ["Esc", "let go"], ["?", "these keys"],
];

const byId = (id) => document.getElementById(id);

class Page {
	constructor() {
		this.model = new Model(JSON.parse(byId("data").textContent));
		this.theme(this.storedTheme());
		this.canvas = new Canvas(this.model, byId("graph"));
		this.panel = new Panel(this.model, byId("panel"), {
			light: (at) => this.light(at), toggle: (id) => this.toggle(id), visit: (id) => this.visit(id), reach: (id) => this.reach(id),
		});
		this.cause = -1;
		this.choice = 0;
		this.found = [];
		this.head();
		this.listen();
		this.canvas.draw();
		this.light(-1);
		this.canvas.fit();
	}

	head() {
		const { data } = this.model;
		const pill = byId("verdict");
		pill.textContent = data.verdict;
		pill.classList.add(data.verdict);
		byId("title").textContent = data.title;
		byId("release").textContent = data.release;
		document.title = `${data.title}: ${data.verdict}`;
		byId("ways").disabled = !data.lit.length;
		byId("only").disabled = !this.model.stale.size;
		const swatch = (name, text, way) => make("span", {}, make("i", way ? { class: `way ${way}`, style: `border-color: var(--${name})` } : { style: `border-color: var(--${name}); background: var(--${name}-soft, transparent)` }), text);
		byId("legend").append(swatch("fresh", "fresh"), swatch("stale", "stale"), swatch("possible", "possibly stale"), swatch("pending", "make M= rebuilds it"),
			swatch("stale", "stale path, seen by make M=", "solid"), swatch("stale", "not seen", "dashed"));
		byId("keys").append(make("h2", {}, "Keys"), make("table", {}, ...KEYS.map(([keys, what]) => make("tr", {}, make("td", {}, ...keys.split(" ").map((key) => make("kbd", {}, key))), make("td", {}, what)))));
	}

	// -- what can be done ---------------------------------------------------

	/* Light one cause and dim the rest; -1: light all, dim nothing. */
	light(at) {
		const { lit } = this.model.data;
		this.cause = at;
		this.canvas.light(lit.map(({ edges }, way) => ({ way, edges: new Set(edges) })).filter(({ way }) => at < 0 || way === at));
		this.canvas.focused = at >= 0;
		byId("ways").setAttribute("aria-pressed", at >= 0 ? "true" : "false");
		this.choose(-1);
	}

	nextCause() {
		const { lit } = this.model.data;
		if (!lit.length) return;
		this.light(this.cause + 1 < lit.length ? this.cause + 1 : -1);
		if (this.cause >= 0) this.frame();
	}

	/* Show all of what is lit. */
	frame() {
		const ids = this.canvas.cy.nodes(".lit").map((node) => Number(node.id()));
		const box = this.canvas.box(ids);
		if (box) this.canvas.go(Math.min((this.canvas.cy.width() - 90) / box.w, (this.canvas.cy.height() - 120) / box.h, 1.2), box);
	}

	reach(id) {
		this.canvas.light([{ way: 0, edges: this.model.waysFrom(id) }]);
		this.canvas.focused = true;
		this.cause = -1;
		this.choose(id);
	}

	choose(id) {
		this.canvas.chosen = id;
		this.canvas.paint();
		this.panel.show(id, this.cause);
	}

	toggle(id) {
		this.model.toggle(id);
		if (this.canvas.chosen >= 0) this.canvas.chosen = this.model.shownAs(this.canvas.chosen);
		this.canvas.draw(id);
		this.panel.show(this.canvas.chosen, this.cause);
	}

	/* Leave out what is fresh, or show it again. */
	onlyStale(on = !this.model.onlyStale) {
		if (on && !this.model.stale.size) return;
		this.model.onlyStale = on;
		byId("only").setAttribute("aria-pressed", String(on));
		if (!this.model.isKept(this.canvas.chosen)) this.canvas.chosen = -1;
		this.canvas.draw();
		this.canvas.fit();
		this.panel.show(this.canvas.chosen, this.cause);
	}

	/* Choose a node, wherever it is folded away or left out. */
	visit(id) {
		if (!this.model.isKept(id)) this.onlyStale(false);
		if (!this.model.isShown(id)) {
			const from = this.model.shownAs(id);
			this.model.reveal(id);
			this.canvas.draw(from);
		}
		this.choose(id);
		this.canvas.visit(id);
	}

	foldAll() {
		this.model.unfolded.clear();
		if (this.canvas.chosen >= 0) this.canvas.chosen = this.model.shownAs(this.canvas.chosen);
		this.canvas.draw();
		this.canvas.fit();
		this.panel.show(this.canvas.chosen, this.cause);
	}

	unfoldAll() {
		for (const node of this.model.nodes) if (this.model.isContainer(node.id)) this.model.unfolded.add(node.id);
		this.canvas.draw();
		this.canvas.fit();
	}

	/* To the nearest node in a direction. */
	step(dx, dy) {
		const { canvas, model } = this;
		const leaves = model.shown().filter((id) => !model.unfolded.has(id));
		if (canvas.chosen < 0) {
			const first = model.data.lit[0]?.nodes[0] ?? leaves[0];
			return this.visit(first);
		}
		const here = canvas.places.get(model.shownAs(canvas.chosen));
		let best = -1, least = Infinity;
		for (const id of leaves) {
			const there = canvas.places.get(id);
			const along = (there.x - here.x) * dx + (there.y - here.y) * dy;
			const off = Math.abs((there.x - here.x) * dy) + Math.abs((there.y - here.y) * dx);
			if (along > 4 && along + 2.2 * off < least) {
				best = id;
				least = along + 2.2 * off;
			}
		}
		if (best >= 0) this.visit(best);
	}

	zoom(factor) {
		const cy = this.canvas.cy;
		cy.zoom({ level: cy.zoom() * factor, renderedPosition: { x: cy.width() / 2, y: cy.height() / 2 } });
	}

	storedTheme() {
		try { return localStorage.getItem("kdeps-theme") ?? ""; } catch { return ""; } // a page opened from a file may have no store
	}

	theme(name) {
		const dark = name ? name === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
		document.documentElement.dataset.theme = dark ? "dark" : "light";
		this.canvas?.restyle();
		this.canvas?.paint();
	}

	otherTheme() {
		const name = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
		try { localStorage.setItem("kdeps-theme", name); } catch { /* then it holds until the page is closed */ }
		this.theme(name);
	}

	letGo() {
		if (!byId("results").hidden) return this.closeResults();
		this.light(-1);
	}

	// -- search --------------------------------------------------------------

	results(query) {
		this.found = this.model.search(query);
		this.choice = 0;
		const list = byId("results");
		const items = this.found.map((id, at) => {
			const node = this.model.nodes[id];
			const state = node.kind === "file" || node.kind === "folder" ? "none" : node.kind === "cause" ? "cause" : node.state;
			return make("li", { role: "option", id: `result${at}`, "aria-selected": at === 0 ? "true" : "false", "data-node": id, onmousedown: (event) => { event.preventDefault(); this.take(at); } },
				make("span", { class: `dot ${state}` }), make("span", {}, node.label), make("span", { class: "where" }, "\u200e" + (node.path ? node.path.replace(/\/[^/]*$/, "") : WORDS[node.kind] ?? "")));
		});
		if (!items.length) items.push(make("li", { class: "none" }, "Nothing here has that name"));
		list.replaceChildren(...items);
		list.hidden = !query.trim();
		byId("query").setAttribute("aria-expanded", String(!list.hidden));
	}

	move(by) {
		const items = byId("results").querySelectorAll("[role=option]");
		if (!items.length) return;
		items[this.choice]?.setAttribute("aria-selected", "false");
		this.choice = (this.choice + by + items.length) % items.length;
		items[this.choice].setAttribute("aria-selected", "true");
		items[this.choice].scrollIntoView({ block: "nearest" });
	}

	take(at) {
		if (this.found[at] === undefined) return;
		this.closeResults();
		byId("graph").focus();
		this.visit(this.found[at]);
	}

	closeResults() {
		byId("results").hidden = true;
		byId("query").setAttribute("aria-expanded", "false");
		byId("query").blur();
	}

	// -- events ---------------------------------------------------------------

	listen() {
		const { cy } = this.canvas;
		cy.on("tap", "node", (event) => {
			const id = Number(event.target.id());
			byId("graph").focus({ preventScroll: true });
			this.choose(id);
			if (this.model.isContainer(id)) this.toggle(id);
		});
		cy.on("tap", (event) => { if (event.target === cy) this.letGo(); });
		cy.on("mouseover", "node", (event) => { byId("graph").style.cursor = "pointer"; byId("graph").title = this.model.nodes[Number(event.target.id())].path || ""; });
		cy.on("mouseout", "node", () => { byId("graph").style.cursor = ""; byId("graph").title = ""; });
		const query = byId("query");
		query.addEventListener("input", () => this.results(query.value));
		query.addEventListener("focus", () => { if (query.value) this.results(query.value); });
		query.addEventListener("blur", () => { byId("results").hidden = true; });
		query.addEventListener("keydown", (event) => {
			const does = { ArrowDown: () => this.move(1), ArrowUp: () => this.move(-1), Enter: () => this.take(this.choice), Escape: () => this.closeResults() }[event.key];
			if (does) {
				event.preventDefault();
				does();
			}
			event.stopPropagation();
		});
		byId("ways").addEventListener("click", () => this.nextCause());
		byId("only").addEventListener("click", () => this.onlyStale());
		byId("fold").addEventListener("click", () => this.foldAll());
		byId("fit").addEventListener("click", () => this.canvas.fit());
		byId("theme").addEventListener("click", () => this.otherTheme());
		byId("help").addEventListener("click", () => byId("keys").showModal());
		byId("keys").addEventListener("click", () => byId("keys").close());
		byId("nearer").addEventListener("click", () => this.zoom(1.3));
		byId("farther").addEventListener("click", () => this.zoom(1 / 1.3));
		document.addEventListener("keydown", (event) => this.key(event));
		matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { if (!this.storedTheme()) this.theme(""); });
	}

	key(event) {
		if (event.ctrlKey || event.metaKey || event.altKey || byId("keys").open) return;
		const onButton = event.target.closest?.("button");
		const chosen = this.canvas.chosen;
		const does = {
			"/": () => { byId("query").focus(); byId("query").select(); },
			ArrowLeft: () => this.step(-1, 0), ArrowRight: () => this.step(1, 0), ArrowUp: () => this.step(0, -1), ArrowDown: () => this.step(0, 1),
			p: () => this.nextCause(), s: () => this.onlyStale(), f: () => this.canvas.fit(), c: () => this.foldAll(), t: () => this.otherTheme(),
			r: () => { if (chosen >= 0) this.reach(chosen); },
			"+": () => this.zoom(1.3), "=": () => this.zoom(1.3), "-": () => this.zoom(1 / 1.3), "?": () => byId("keys").showModal(), Escape: () => this.letGo(),
			Enter: onButton ? undefined : () => { if (chosen >= 0 && this.model.isContainer(this.model.shownAs(chosen))) this.toggle(this.model.shownAs(chosen)); },
		}[event.key];
		if (does) {
			event.preventDefault();
			does();
		}
	}
}

window.kdeps = new Page();
