// What is nicer with a script on the list of customers: everything works without.
"use strict";

// The popovers of filters. What was open stays open when the filters are drawn again,
// wherever the filter went: from the menu into a chip, or back.
(() => {
	const open = ":is(#filters details, #columns)[open]";
	const close = (but) => {
		for (const group of document.querySelectorAll(open)) if (!group.contains(but)) group.open = false;
	};
	document.addEventListener("htmx:oobBeforeSwap", (event) => {
		if (event.detail.target.id !== "filters") return;
		for (const group of document.querySelectorAll(open)) {
			const name = group.dataset.group;
			let next = name ? event.detail.fragment.querySelector(`[data-group="${CSS.escape(name)}"]`)
				: document.querySelector(`${open} details[open]`) ? null : event.detail.fragment.querySelector(".add");
			for (; next; next = next.parentElement.closest("details")) next.open = true;
		}
		close(null); // those of one name close each other, and the new ones would give way
	});
	document.addEventListener("click", (event) => event.target.isConnected && close(event.target));
	document.addEventListener("submit", (event) => event.target.matches(".tools") && close(null));
	document.addEventListener("keydown", (event) => {
		const group = event.key === "Escape" && event.target.closest("#filters > details[open], .chip > details[open], #columns[open]");
		if (!group) return;
		group.open = false;
		group.querySelector("summary").focus();
	});
	// A day takes the place of an age, and an age that of a day.
	document.addEventListener("change", (event) => {
		const both = event.target.matches(".pop :is(select, [type=date])") && event.target.closest(".one:has([type=date])");
		for (const other of both ? both.querySelectorAll("select, [type=date]") : []) if (other !== event.target) other.value = "";
	}, true);
})();

// How many are shown, once more are. The address says it, so that on the way back as many are there.
document.addEventListener("htmx:afterSettle", () => {
	const upto = document.getElementById("upto");
	if (!upto) return;
	const rows = document.querySelectorAll(".person").length;
	upto.textContent = (Number(upto.dataset.first) + rows - 1).toLocaleString();
	if (rows <= Number(upto.dataset.rows)) return;
	const here = new URL(location);
	here.searchParams.set("shown", rows);
	history.replaceState(history.state, "", here);
});

// The keys: j and k move, x selects, b goes to the bar of the selection, Enter opens (the name of a customer is a link).
(() => {
	const typing = (element) => element.closest("input:not([type=checkbox]), select, textarea, [contenteditable], dialog");
	const people = () => [...document.querySelectorAll(".person")];
	const move = (by) => {
		const all = people();
		const at = all.findIndex((row) => row.contains(document.activeElement));
		const row = all[at < 0 ? (by > 0 ? 0 : all.length - 1) : Math.min(Math.max(at + by, 0), all.length - 1)];
		if (!row) return;
		row.querySelector("h2 a").focus();
		row.scrollIntoView({ block: "nearest" });
	};
	const keys = {
		j: () => move(1),
		k: () => move(-1),
		x: () => document.activeElement.closest(".person")?.querySelector("input").click(),
		b: () => document.querySelector("#chosen :is([type=checkbox], .btn)")?.focus(),
		f: () => {
			const menu = document.querySelector("#filters .add");
			if (!menu) return;
			menu.open = true;
			menu.querySelector(".pop summary, .pop input, .pop select").focus();
		},
		e: () => document.getElementById("csv")?.click(),
		"?": () => document.getElementById("keys")?.showModal(),
	};
	document.addEventListener("keydown", (event) => {
		if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || typing(event.target)) return;
		const act = keys[event.key];
		if (!act) return;
		event.preventDefault();
		act();
	});
})();

// The selection: the bar says how many, the head selects all that are shown, and the
// addresses go to the clipboard.
(() => {
	const form = () => document.getElementById("chosen");
	const boxes = () => [...document.querySelectorAll(".person input[name=id]")];
	const tell = () => {
		const bar = form();
		if (!bar) return;
		const all = boxes(), every = bar.elements.all?.checked, n = all.filter((box) => box.checked).length;
		bar.classList.toggle("some", n > 0 || every === true);
		bar.querySelector("strong").textContent = every ? "All selected" : n + " selected";
		const head = document.getElementById("all");
		head.checked = n === all.length;
		head.indeterminate = n > 0 && n < all.length;
	};
	document.addEventListener("change", (event) => {
		if (event.target.id === "all") for (const box of boxes()) box.checked = event.target.checked;
		if (event.target.id === "all" || event.target.form === form()) tell();
	});
	document.addEventListener("reset", () => setTimeout(tell));
	document.addEventListener("htmx:afterSettle", tell);
	// A browser may tick boxes again on the way back: not those of a change that is made.
	window.addEventListener("pageshow", () => {
		const { changed, ...state } = history.state ?? {};
		if (changed) {
			history.replaceState(state, "");
			for (const box of [...boxes(), ...document.querySelectorAll("#chosen [name=all]")]) box.checked = false;
		}
		tell();
	});
	document.addEventListener("submit", (event) => {
		if (event.target === form() && !["copy", "export"].includes(event.submitter?.value)) {
			history.replaceState({ ...history.state, changed: true }, "");
		}
	});
	document.addEventListener("keydown", (event) => {
		if (event.key !== "Enter" || !event.target.matches(".customers input[type=checkbox]")) return;
		event.preventDefault(); // it would send the form
		event.target.closest(".person")?.querySelector("h2 a").click();
	});
	const copy = async (bar, button) => {
		const body = new URLSearchParams(new FormData(bar, button));
		const answer = await fetch(bar.action, { method: "POST", headers: { Accept: "text/plain" }, body });
		const text = await answer.text();
		if (!answer.ok || !answer.headers.get("Content-Type").startsWith("text/plain")) throw new Error(answer.status);
		return new Blob([text], { type: "text/plain" });
	};
	document.addEventListener("submit", async (event) => {
		const bar = event.target, button = event.submitter;
		if (!bar.matches("#chosen") || button?.value !== "copy" || !window.ClipboardItem || !navigator.clipboard) return;
		event.preventDefault();
		try {
			const text = copy(bar, button);
			await navigator.clipboard.write([new ClipboardItem({ "text/plain": text })]);
			const n = (await (await text).text()).split("\n").length;
			bar.querySelector("strong").textContent = n + (n === 1 ? " address" : " addresses") + " copied";
		} catch {
			bar.append(Object.assign(document.createElement("input"), { type: "hidden", name: "do", value: "copy" }));
			bar.submit(); // as without a script: a page with the addresses
		}
	});
})();
