// SPDX-License-Identifier: GPL-2.0-only OR MIT
"use strict";

/* The ways of edges from one place {x, y, w, h} to another: they leave to the right and arrive from the left.

   A way is what cytoscape wants: points along the line between the ends (weights), and off it (distances). */
const CLEAR = 9; // how far a detour stays away from what it avoids

const startOf = (place) => ({ x: place.x + place.w / 2, y: place.y });
const endOf = (place) => ({ x: place.x - place.w / 2, y: place.y });

function between(from, to, points) {
	const dx = to.x - from.x, dy = to.y - from.y;
	const length = Math.hypot(dx, dy) || 1;
	return {
		weights: points.map((p) => ((p.x - from.x) * dx + (p.y - from.y) * dy) / (length * length)),
		distances: points.map((p) => ((p.y - from.y) * dx - (p.x - from.x) * dy) / length),
	};
}

/* The two control points of a curve. */
function controls(from, to) {
	const dx = to.x - from.x;
	const reach = dx > 0 ? Math.max(dx * 0.5, 24) : Math.min(Math.abs(dx) * 0.5 + 60, 220);
	return [{ x: from.x + reach, y: from.y }, { x: to.x - reach, y: to.y }];
}

/* The same way beside itself: all of it `lane` farther down, and as far aside that lanes do not cross. */
function inLane(lane, from, to, points) {
	const down = ({ x, y }, by) => ({ x: x + by, y: y + lane });
	const aside = to.y > from.y ? -lane : lane;
	return between(down(from, 0), down(to, 0), points.map((p) => down(p, aside)));
}

/* The curve that every edge is, but for those with a detour. */
function bend(source, target, lane = 0) {
	const from = startOf(source), to = endOf(target);
	return inLane(lane, from, to, controls(from, to));
}

/* A way of straight runs, where the curve would run behind other places and that runs behind fewer: one column, or two and a row.

   Returns null where there is none. Ways that are lit are few, so every column and row beside a place is tried. */
function detour(source, target, others, lane = 0) {
	const from = startOf(source), to = endOf(target);
	const [left, right] = [from.x + CLEAR, to.x - CLEAR];
	if (left > right) return null;
	const low = Math.min(from.y, to.y), high = Math.max(from.y, to.y);
	const near = others.map(sidesOf).filter((o) => o.right > from.x && o.left < to.x && o.low > low - CLEAR && o.high < high + CLEAR);
	const curve = sampled(from, to);
	let least = near.filter((o) => curve.some((p) => p.x > o.left && p.x < o.right && p.y > o.high && p.y < o.low)).length;
	let best = null;
	const tryWay = (corners) => {
		const points = [from, ...corners, to];
		const met = near.filter((o) => points.some((p, at) => at && meets(points[at - 1], p, o))).length;
		if (met < least) [least, best] = [met, corners];
	};
	const middle = (left + right) / 2;
	const columns = [middle, left, right, ...near.flatMap((o) => [o.left - CLEAR, o.right + CLEAR])].filter((x) => x >= left && x <= right);
	columns.sort((a, b) => Math.abs(a - middle) - Math.abs(b - middle));
	const rows = near.flatMap((o) => [o.low + CLEAR, o.high - CLEAR]).filter((y) => y > low && y < high);
	for (const x of columns) if (least) tryWay([{ x, y: from.y }, { x, y: to.y }]);
	if (near.length > 60) return best && inLane(lane, from, to, best);
	for (const y of rows) {
		for (const x of columns) {
			for (const last of columns) if (least && last > x) tryWay([{ x, y: from.y }, { x, y }, { x: last, y }, { x: last, y: to.y }]);
		}
	}
	return best && inLane(lane, from, to, best);
}

const sidesOf = ({ x, y, w, h }) => ({ left: x - w / 2, right: x + w / 2, high: y - h / 2, low: y + h / 2 });

/* Whether a straight run along an axis meets a place. */
const meets = (p, q, o) => Math.min(p.x, q.x) < o.right && Math.max(p.x, q.x) > o.left && Math.min(p.y, q.y) < o.low && Math.max(p.y, q.y) > o.high;

/* Points on the curve, as cytoscape draws it: two quadratic pieces that meet midway between the control points. */
function sampled(from, to) {
	const [a, b] = controls(from, to);
	const mid = { x: (a.x + b.x) / 2, y: (a.y + b.y) / 2 };
	const piece = (p, c, q) => Array.from({ length: 33 }, (_, at) => {
		const t = at / 32, s = 1 - t;
		return { x: s * s * p.x + 2 * s * t * c.x + t * t * q.x, y: s * s * p.y + 2 * s * t * c.y + t * t * q.y };
	});
	return [...piece(from, a, mid), ...piece(mid, b, to)];
}
