/* The line beside a page's title that says whether its figures are live, and since when they are not. */

const bar = document.getElementById("delivery-live");
const state = bar?.querySelector("[data-state]");
const button = bar?.querySelector("button[data-freeze]");

/* kind: live, held, frozen, lost or stopped, for the style. */
export function say(kind, text) {
    if (!bar) {
        return;
    }
    bar.hidden = false;
    bar.dataset.kind = kind;
    if (state.textContent !== text) {
        state.textContent = text;
    }
    button.textContent = kind === "frozen" ? "Go on" : "Freeze";
    button.hidden = kind === "stopped";
    bar.querySelector("[data-again]").hidden = kind !== "stopped";
}

export function onFreeze(act) {
    button?.addEventListener("click", act);
}
