/* Keys: / searches, j and k go through the rows, Enter opens one, r freezes, ? helps, Escape closes.

   A row is gone to by focusing its first link: Enter, the ring around it and screen readers then do what they always
   do. None of the keys acts while a field is typed in, with Ctrl, Alt or Meta, or under an open dialog. */

import { turn } from "./live.js";
import { TYPED } from "./typed.js";

const ROWS = "#content table tbody tr";

const ACTS = {
    "/": search,
    j: () => go(1),
    k: () => go(-1),
    r: turn,
    "?": help,
};

export function start() {
    document.addEventListener("keydown", press);
    const dialog = document.getElementById("delivery-keys");
    document.querySelectorAll("button[data-keys]").forEach((button) => button.addEventListener("click", help));
    dialog?.addEventListener("click", (event) => event.target === dialog && dialog.close()); // beside its content
}

function press(event) {
    const elsewhere = event.target.closest?.(TYPED) || document.querySelector("dialog[open]");
    if (event.defaultPrevented || event.isComposing || event.ctrlKey || event.altKey || event.metaKey || elsewhere) {
        return;
    }
    const act = Object.hasOwn(ACTS, event.key) ? ACTS[event.key] : null;
    if (act && act() !== false) {
        event.preventDefault();
    }
}

function search() {
    const fields = ["#searchbar", '#content input[type="search"]', "#nav-filter"];
    const field = fields.map((selector) => document.querySelector(selector)).find(Boolean);
    field?.focus();
    field?.select();
    return Boolean(field);
}

function go(step) {
    const links = [...document.querySelectorAll(ROWS)].map((row) => row.querySelector("a[href]")).filter(Boolean);
    if (!links.length) {
        return false;
    }
    const here = document.activeElement.closest("tr");
    const at = links.findIndex((link) => link.closest("tr") === here);
    const next = at < 0 ? (step > 0 ? 0 : links.length - 1) : Math.min(Math.max(at + step, 0), links.length - 1);
    links[next].focus();
    links[next].closest("tr").scrollIntoView({ block: "nearest" });
    return true;
}

function help() {
    document.getElementById("delivery-keys")?.showModal();
}
