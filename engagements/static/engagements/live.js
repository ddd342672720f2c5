/* Keeps a page's figures live: every element with an id and data-live is made like the same element of the page as it
   is now. One request for all of them, every 2 s, never two at a time; none while the tab is hidden or frozen.

   What somebody works on is left alone: a region with a field that is typed in, an open dialog, or a checked row that
   would go away. */

import * as bar from "./bar.js";
import * as clock from "./clock.js";
import { frozen, frozenSince, toggle } from "./freeze.js";
import { morph } from "./morph.js";
import * as selection from "./selection.js";
import * as times from "./times.js";
import { TYPED } from "./typed.js";

const EVERY_MS = 2_000;
const SLOWEST_MS = 30_000; // between tries, while the server cannot be reached
const PATIENCE_MS = 10_000; // for one answer
const TOKEN = 'input[name="csrfmiddlewaretoken"]';

const ENDS = {
    401: "not logged in any more",
    403: "not allowed any more",
    404: "no longer there",
    410: "no longer there",
};

let timer = 0;
let asking = null;
let misses = 0;
let stopped = false;

const regions = () => [...document.querySelectorAll("[id][data-live]")];
const still = () => stopped || frozen() || document.hidden;

export function start() {
    if (!regions().length || !document.querySelector('meta[name="delivery-now"]')) {
        return;
    }
    bar.onFreeze(turn);
    document.addEventListener("visibilitychange", () => (document.hidden ? pause() : refresh()));
    window.addEventListener("online", refresh);
    window.addEventListener("pagehide", pause);
    window.addEventListener("pageshow", (event) => event.persisted && refresh());
    show();
    plan(EVERY_MS);
}

/* Freezes the page, or lets it go on at once; whether there was anything to freeze. */
export function turn() {
    if (stopped || !regions().length) {
        return false;
    }
    toggle();
    show();
    if (frozen()) {
        pause();
    } else {
        refresh();
    }
    return true;
}

function show(held = false) {
    if (frozen()) {
        const at = new Date(frozenSince()).toLocaleTimeString("en-GB");
        bar.say("frozen", `frozen since ${at}`);
    } else if (misses) {
        bar.say("lost", "connection lost, retrying");
    } else {
        bar.say(held ? "held" : "live", held ? "live, but for what you work on" : "live");
    }
}

function plan(delay) {
    clearTimeout(timer);
    timer = still() ? 0 : setTimeout(refresh, delay);
}

function pause() {
    clearTimeout(timer);
    asking?.abort();
}

function stop(why) {
    stopped = true;
    bar.say("stopped", `stopped: ${why}`);
}

async function refresh() {
    if (asking || still()) {
        return;
    }
    clearTimeout(timer);
    asking = new AbortController();
    const limit = setTimeout(() => asking.abort(), PATIENCE_MS);
    try {
        await ask(asking.signal);
    } catch {
        if (!still()) {
            misses += 1;
            show();
        }
    } finally {
        clearTimeout(limit);
        asking = null;
        plan(Math.min(EVERY_MS * 2 ** misses, SLOWEST_MS));
    }
}

async function ask(signal) {
    const answer = await fetch(location.pathname + location.search, {
        headers: { "X-Live-Refresh": "1" },
        redirect: "manual",
        cache: "no-store",
        signal,
    });
    if (answer.type === "opaqueredirect") {
        stop("logged out, or no longer there");
        return;
    }
    if (answer.status in ENDS) {
        stop(ENDS[answer.status]);
        return;
    }
    if (!answer.ok) {
        throw new Error(`HTTP ${answer.status}`);
    }
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    if (!still()) {
        misses = 0;
        show(put(page));
    }
}

/* Puts what is new in place; whether something was left alone. */
function put(page) {
    clock.set(page);
    const focused = document.activeElement;
    const token = document.querySelector(TOKEN)?.value ?? "";
    let held = false;
    for (const region of regions()) {
        const next = page.getElementById(region.id);
        if (!next) {
            continue;
        }
        if (inUse(region) || selection.wouldLose(region, next)) {
            held = true;
            continue;
        }
        next.querySelectorAll(TOKEN).forEach((field) => field.setAttribute("value", token));
        region.querySelectorAll(TOKEN).forEach((field) => field.setAttribute("value", token));
        times.show(next);
        morph(region, next);
    }
    selection.refreshed();
    if (focused !== document.activeElement && focused?.isConnected) {
        focused.focus({ preventScroll: true });
    }
    return held;
}

function inUse(region) {
    const typing = document.activeElement?.matches(TYPED) && region.contains(document.activeElement);
    return typing || region.querySelector("dialog[open]") !== null;
}
