/* The checked rows of a list whose rows come and go. Django's actions.js looks once at the checkboxes that there are;
   here it is given a view of them that is always that of now. */

const BOXES = "tr input.action-select";

const boxes = {
    get length() {
        return document.querySelectorAll(BOXES).length;
    },
    forEach(visit) {
        document.querySelectorAll(BOXES).forEach(visit);
    },
    [Symbol.iterator]() {
        return document.querySelectorAll(BOXES).values();
    },
};

const followed = new WeakSet();

/* Before the document is ready: actions.js starts then. */
export function follow() {
    const stock = window.Actions;
    if (!stock) {
        return;
    }
    window.Actions = (_, options) => {
        followed.add(document.querySelector("#result_list tbody"));
        stock(boxes, options);
    };
}

/* After a refresh: rows that came are followed, those checked are marked, and the counter is right. */
export function refreshed() {
    const body = document.querySelector("#result_list tbody");
    const counter = document.querySelector("div.actions span.action-counter");
    if (!window.Actions || !body || !counter || !boxes.length) {
        return;
    }
    if (!followed.has(body)) {
        window.Actions();
    }
    boxes.forEach((box) => box.closest("tr").classList.toggle("selected", box.checked));
    counter.dataset.actionsIcnt = boxes.length;
    window.dispatchEvent(new Event("pageshow")); // what actions.js counts anew on
}

/* Whether a region must stay as it is, for a checked row would be gone, or all rows of the list are chosen. */
export function wouldLose(region, next) {
    const checked = [...region.querySelectorAll(`${BOXES}:checked`)];
    if (!checked.length) {
        return false;
    }
    const coming = new Set([...next.querySelectorAll(BOXES)].map((box) => box.value));
    const across = document.querySelector("div.actions input.select-across")?.value === "1";
    return across || checked.some((box) => !coming.has(box.value));
}
