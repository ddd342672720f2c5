/* A page that is frozen stands still: no refresh, no counting. That it is, stands in its address: ?frozen=1 */

import { now } from "./clock.js";

const PARAMETER = "frozen";

let since = frozen() ? now() : null;

export function frozen() {
    return new URLSearchParams(location.search).get(PARAMETER) === "1";
}

/* When it was frozen, in milliseconds by the server's clock; null while it is not. */
export function frozenSince() {
    return since;
}

/* Freezes the page or lets it go on; back and forward and a reload keep to what the address says. */
export function toggle() {
    const address = new URL(location.href);
    change(address, !frozen());
    history.replaceState(history.state, "", address);
    since = frozen() ? now() : null;
    for (const link of document.querySelectorAll('#content a[href^="?"]')) {
        const leads = new URL(link.getAttribute("href"), location.href);
        change(leads, frozen());
        link.setAttribute("href", leads.search || "?");
    }
    for (const form of document.querySelectorAll('#content form[method="get"]')) {
        form.querySelector(`input[name="${PARAMETER}"]`)?.remove();
        if (frozen()) {
            const field = Object.assign(document.createElement("input"), { type: "hidden", name: PARAMETER, value: "1" });
            form.append(field);
        }
    }
}

function change(address, on) {
    if (on) {
        address.searchParams.set(PARAMETER, "1");
    } else {
        address.searchParams.delete(PARAMETER);
    }
}
