// What is nicer with a script: everything works without.
"use strict";

// New customers, without a reload: how many came since the page was made.
(() => {
	let source;
	const watch = () => {
		const live = document.getElementById("live");
		if (source) source.close();
		if (!live || !window.EventSource) return;
		source = new EventSource(live.dataset.url);
		source.onmessage = (event) => {
			const n = Number(event.data);
			const link = live.querySelector("a");
			link.textContent = n >= 100 ? "100 or more new" : n + " new";
			link.hidden = n === 0;
		};
	};
	document.addEventListener("DOMContentLoaded", watch);
	document.addEventListener("htmx:afterSettle", (event) => {
		if (event.target.id === "results" || event.target === document.body) watch();
	});
	window.addEventListener("pagehide", () => source && source.close());
	window.addEventListener("pageshow", (event) => event.persisted && watch());
})();

// What keeps itself up to date does so while somebody sees it, and leaves alone
// what has not changed: so nothing flickers, and nothing marked is unmarked. What is opened to be
// read ("reading") stays as it is.
(() => {
	const shown = new WeakMap();
	const live = (event) => event.target.closest && event.target.closest("[data-live]");
	document.addEventListener("htmx:beforeRequest", (event) => {
		const part = live(event);
		if (!part) return;
		const read = part.dataset.live === "reading" && part.querySelector("details[open]");
		if (document.hidden || read) event.preventDefault();
	});
	document.addEventListener("htmx:beforeSwap", (event) => {
		const text = event.detail.xhr.responseText;
		const target = event.detail.target;
		if (!live(event)) return;
		if (shown.get(target) === text) event.detail.shouldSwap = false;
		shown.set(target, text);
	});
})();

// A list that cannot be had says so where it would have been.
document.addEventListener("htmx:beforeRequest", () => document.body.classList.remove("failed"));
for (const name of ["htmx:responseError", "htmx:sendError", "htmx:timeout"]) {
	document.addEventListener(name, () => document.body.classList.add("failed"));
}

// What a form hides, as of no use for what is chosen in it, is not sent.
document.addEventListener("formdata", (event) => {
	for (const field of event.target.querySelectorAll(".field")) {
		if (getComputedStyle(field).display !== "none") continue;
		for (const input of field.querySelectorAll("input")) event.formData.delete(input.name);
	}
});

// What was wrong with a form may be right once it is changed.
document.addEventListener("change", (event) => {
	const form = event.target.form;
	for (const field of form ? form.querySelectorAll("[aria-invalid]") : []) field.removeAttribute("aria-invalid");
});

// "/" begins a search, as elsewhere.
document.addEventListener("keydown", (event) => {
	const search = document.getElementById("q");
	if (event.key === "/" && search && !document.activeElement.matches("input:not([type=checkbox]), select, textarea")) {
		event.preventDefault();
		search.focus();
	}
});

// A download takes a while to begin: say that it is on its way.
document.addEventListener("click", (event) => {
	const link = event.target.closest("a[data-download]");
	if (!link) return;
	const text = link.querySelector("span") || link; // an icon may stand beside it
	const label = text.textContent;
	text.textContent = "Preparing…";
	setTimeout(() => (text.textContent = label), 4000);
});

// Pages of a store that has set no time zone are written in the reader's, which a cookie names. The first page
// was asked for without it: it is loaded once more, unless a form was filled in already.
(() => {
	const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
	const told = () => document.cookie.split("; ").includes("zone=" + zone);
	const before = told();
	document.cookie = `zone=${zone}; path=/; max-age=31536000; samesite=lax` +
		(location.protocol === "https:" ? "; secure" : "");
	const written = document.querySelector(".top")?.dataset.zone;
	if (before || !told() || !written || written === zone) return;
	const ticked = (field) => field.matches("[type=checkbox], [type=radio]");
	const filled = (field) => ticked(field) ? field.checked !== field.defaultChecked : field.value !== field.defaultValue;
	if (![...document.querySelectorAll("input, textarea")].some(filled)) location.reload();
})();

// A menu closes when one looks elsewhere.
document.addEventListener("click", (event) => closeMenus((menu) => menu.contains(event.target) && !event.target.closest("a")));
document.addEventListener("keydown", (event) => event.key === "Escape" && closeMenus(() => false));
const closeMenus = (except) => document.querySelectorAll(".menu[open]").forEach((menu) => {
	if (except(menu)) return;
	if (menu.contains(document.activeElement)) menu.querySelector("summary").focus();
	menu.open = false;
});

// Buttons that copy a text show once they can.
(() => {
	const show = (root) => {
		if (!navigator.clipboard) return;
		for (const button of root.querySelectorAll("[data-copy], [data-copy-from]")) button.hidden = false;
	};
	document.addEventListener("DOMContentLoaded", () => show(document));
	document.addEventListener("htmx:afterSettle", (event) => show(event.target));
	document.addEventListener("click", async (event) => {
		const button = event.target.closest("[data-copy], [data-copy-from]");
		if (!button) return;
		const from = button.dataset.copyFrom;
		await navigator.clipboard.writeText(from ? document.querySelector(from).textContent : button.dataset.copy);
		button.classList.add("done");
		setTimeout(() => button.classList.remove("done"), 1500);
	});
})();
