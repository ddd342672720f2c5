/* A field for a JSON object says while one types whether it is one, where it is not, and how large it is. */

import { laidOut, problemOf } from "./json_scan.js";

const PAUSE_MS = 200;

export function watch(field) {
    const limit = Number(field.dataset.jsonBytes);
    const state = document.createElement("div");
    const said = document.createElement("button");
    const size = document.createElement("span");
    const layOut = document.createElement("button");
    let timer = 0;
    let found = null;

    state.className = "help delivery-json-state";
    said.type = layOut.type = "button";
    said.className = "delivery-json-said";
    said.setAttribute("role", "status");
    size.className = "delivery-json-size";
    layOut.className = "delivery-json-layout";
    layOut.textContent = "Lay out";
    layOut.title = "One entry in each line; no value is changed";
    state.append(said, size, layOut);
    (field.closest(".flex-container") ?? field).after(state);

    function look() {
        const text = field.value;
        found = text.trim() ? problemOf(text) : { offset: 0, reason: "a JSON object is needed, at least {}" };
        const value = found ? undefined : JSON.parse(text);
        const bytes = found ? 0 : new TextEncoder().encode(JSON.stringify(value)).length;
        let fault = "";
        if (found) {
            fault = found.line ? `Line ${found.line}, column ${found.column}: ${found.reason}` : found.reason;
        } else if (typeof value !== "object" || value === null || Array.isArray(value)) {
            fault = "This must be an object: {…}";
        } else if (bytes > limit) {
            fault = `Too large: at most ${limit / 1024} KiB`;
        }
        said.textContent = fault || "Valid JSON";
        said.classList.toggle("delivery-json-bad", Boolean(fault));
        said.disabled = !found?.line;
        said.title = found?.line ? "Go there" : "";
        size.textContent = found ? "" : `${amount(bytes)} of ${limit / 1024} KiB`;
        layOut.disabled = Boolean(found);
        field.setAttribute("aria-invalid", String(Boolean(fault)));
    }

    field.addEventListener("input", () => {
        clearTimeout(timer);
        timer = setTimeout(look, PAUSE_MS);
    });
    said.addEventListener("click", () => {
        field.focus();
        field.setSelectionRange(found.offset, Math.min(found.offset + 1, field.value.length));
    });
    layOut.addEventListener("click", () => {
        look();
        if (!found) {
            field.value = laidOut(field.value);
            look();
        }
    });
    look();
}

const amount = (bytes) => (bytes < 1024 ? `${bytes} B` : `${(bytes / 1024).toFixed(1)} KiB`);
