// SPDX-License-Identifier: GPL-2.0-only OR MIT
"use strict";

/* The words beside the picture. All text goes in as text: names of files are not ours. */
function make(tag, attributes = {}, ...children) {
	const element = document.createElement(tag);
	for (const [name, value] of Object.entries(attributes)) {
		if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
		else if (value !== undefined && value !== false) element.setAttribute(name, value === true ? "" : value);
	}
	element.append(...children.filter((child) => child !== "" && child !== undefined && child !== null));
	return element;
}

/* A button that copies a text. A page opened from a file may be denied the clipboard: then by selection, as browsers always could. */
function copyButton(text) {
	const button = make("button", { class: "copy", onclick: async () => {
		let done = true;
		try { await navigator.clipboard.writeText(text); } catch { done = copySelected(text); }
		button.textContent = done ? "Copied" : "Not copied: select it and press Ctrl-C";
	} }, "Copy");
	return button;
}

function copySelected(text) {
	const area = make("textarea", { readonly: true, "aria-hidden": "true", style: "position: fixed; opacity: 0" });
	area.value = text;
	document.body.append(area);
	area.select();
	try { return document.execCommand("copy"); } catch { return false; } finally { area.remove(); }
}

const STATES = { fresh: "fresh", stale: "stale", possible: "possibly stale", pending: "make M= rebuilds it", cause: "edited" };

class Panel {
	constructor(model, element, actions) {
		this.model = model;
		this.element = element;
		this.actions = actions;
	}

	show(id, lit) {
		this.element.replaceChildren(...(id < 0 ? this.overview(lit) : this.details(id)));
		this.element.scrollTop = 0;
	}

	/* Nothing chosen: what is wrong with the build. */
	overview(lit) {
		const { data } = this.model;
		const { counts } = data;
		const parts = [
			make("h2", {}, { fresh: "Nothing stale would be used", stale: "Stale", unknown: "Cannot tell" }[data.verdict]),
			make("p", {}, `${counts.rules} steps, ${counts.files} files; ${counts.stale} stale unseen by make M=, ${counts.pending} it rebuilds itself`),
		];
		for (const text of [...data.findings, ...data.problems]) parts.push(make("div", { class: "reason" }, text));
		if (data.lit.length) {
			parts.push(make("h3", {}, data.lit.length === 1 ? "Cause" : "Causes"));
			data.lit.forEach((cause, at) => parts.push(make("button", {
				class: "item cause", "data-cause": at, style: `border-left-color: ${wayColour(at)}`, "aria-pressed": lit === at ? "true" : "false", onclick: () => this.actions.light(lit === at ? -1 : at),
			}, make("span", {}, cause.text), make("small", { title: "What has to be made again because of it" }, `${cause.reached} step${cause.reached === 1 ? "" : "s"}`))));
			parts.push(make("p", {}, "Dashed: a step that make M= does not look at."));
		}
		if (data.cure) {
			parts.push(make("h3", {}, "To refresh, then build"), make("pre", { id: "cure" }, data.cure));
			parts.push(make("div", { class: "row" }, copyButton(data.cure), make("span", {}, `in ${data.cwd}`)));
		}
		parts.push(make("h3", {}, "Read"));
		parts.push(make("p", {}, `source tree ${data.srctree}`), make("p", {}, `object tree ${data.objtree}`));
		parts.push(make("p", {}, `kdeps ${data.kdeps}, ${data.made}`));
		return parts;
	}

	details(id) {
		const { model } = this;
		const node = model.nodes[id];
		const rule = model.data.rules[id];
		const state = node.kind === "cause" ? "cause" : node.state;
		const named = node.kind === "file" || node.kind === "folder" ? "none" : state;
		const parts = [
			make("h2", {}, node.label),
			make("p", {}, node.path && node.path !== node.label ? node.path : ""),
			make("div", { class: "row" },
				make("span", { class: `pill ${state === "cause" ? "stale" : named}` }, STATES[state] && named !== "none" ? STATES[state] : WORDS[node.kind] ?? node.kind),
				rule ? make("span", { class: "pill" }, rule.scope === "module" ? "made by make M=" : "made by modules_prepare") : "",
				rule?.unrecorded ? make("span", { class: "pill" }, rule.unrecorded) : "",
				model.isContainer(id) ? make("button", { onclick: () => this.actions.toggle(id) }, model.unfolded.has(id) ? "Fold" : "Unfold") : "",
				model.outOf[id].length || model.isContainer(id) ? make("button", { onclick: () => this.actions.reach(id), title: "Show the paths to everything that is made from it (r)" }, "What it reaches") : ""),
		];
		if (rule) parts.push(...this.ruleParts(rule));
		if (model.isContainer(id)) parts.push(...this.list("Inside", model.children(id)));
		const made = (ids) => [...new Set(ids)].filter((other) => other !== id);
		parts.push(...this.list("Goes into", made(model.outOf[id].map((edge) => model.edges[edge].target))));
		const read = made(model.into[id].map((edge) => model.edges[edge].source));
		const stale = (other) => (model.nodes[other].kind === "cause" ? 0 : model.nodes[other].state !== "fresh" ? 1 : model.nodes[other].kind === "rule" ? 2 : 3);
		read.sort((a, b) => stale(a) - stale(b));
		parts.push(...this.list("Made from", read));
		return parts;
	}

	ruleParts(rule) {
		const parts = [];
		if (rule.reasons.length) {
			parts.push(make("h3", {}, rule.pending ? "Why make M= rebuilds it" : "Why it is stale"));
			for (const reason of rule.reasons) {
				const inherited = reason.kind === "stale-prerequisite" ? " inherited" : "";
				parts.push(make("div", { class: `reason${inherited}` }, reason.text, make("small", {}, [reason.when, reason.kbuild ? "" : "Kbuild does not see it"].filter(Boolean).join("; "))));
			}
		}
		if (rule.outputs.length > 1) parts.push(make("h3", {}, "Writes"), make("ul", {}, ...rule.outputs.map((path) => make("li", {}, path))));
		if (rule.command) {
			parts.push(make("h3", {}, "Command"), make("pre", {}, rule.command), make("div", { class: "row" }, copyButton(rule.command)));
		}
		if (rule.record) parts.push(make("h3", {}, "Record"), make("p", {}, rule.record));
		return parts;
	}

	list(title, ids, most = 60) {
		if (!ids.length) return [];
		const { model } = this;
		const items = ids.slice(0, most).map((id) => {
			const node = model.nodes[id];
			const state = node.kind === "file" || node.kind === "folder" ? "none" : node.kind === "cause" ? "cause" : node.state;
			return make("li", {}, make("button", { class: "item", onclick: () => this.actions.visit(id) },
				make("span", { class: `dot ${state}` }), make("span", {}, node.label), make("small", {}, node.files ? `${node.files}` : "")));
		});
		if (ids.length > most) items.push(make("li", {}, make("p", {}, `and ${ids.length - most} more`)));
		return [make("h3", {}, `${title} (${ids.length})`), make("ul", {}, ...items)];
	}
}
