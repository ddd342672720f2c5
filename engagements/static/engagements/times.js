/* Times in the viewer's own zone, the exact value with its zone on hover; ages and countdowns go on between refreshes.

   The server writes <time datetime="…"> with one of these attributes (engagements/admin/display.py):
   data-moment     date and time to the millisecond
   data-clock      for a column of many: without the date when that is today's
   data-age        how long ago
   data-countdown  how long from now; once it has passed, how long ago */

import { now } from "./clock.js";
import { frozen } from "./freeze.js";

const TICK_MS = 1000;
const UNITS = [["d", 86_400, "h", 3_600], ["h", 3_600, "min", 60], ["min", 60, "s", 1]];
const ZONE = Intl.DateTimeFormat().resolvedOptions().timeZone;

const two = (number) => String(number).padStart(2, "0");
const day = (at) => `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
const clock = (at) => `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
const milliseconds = (at) => String(at.getMilliseconds()).padStart(3, "0");

/* Whole seconds in at most two units: 12 s, 4 min 10 s, 2 d 3 h. As display.duration() writes it, without tenths:
   what is counted every second would flicker. */
export function duration(seconds) {
    for (const [name, size, smaller, smallerSize] of UNITS) {
        if (seconds >= size) {
            const rest = Math.floor((seconds % size) / smallerSize);
            return `${Math.floor(seconds / size)} ${name}${rest ? ` ${rest} ${smaller}` : ""}`;
        }
    }
    return `${seconds} s`;
}

function relative(at, ahead) {
    const seconds = Math.floor(Math.abs(now() - at) / 1000);
    if (ahead && at > now()) {
        return seconds ? `in ${duration(seconds)}` : "now";
    }
    return seconds ? `${duration(seconds)} ago` : "just now";
}

function text(element, at) {
    if ("countdown" in element.dataset) {
        return relative(at, true);
    }
    if ("age" in element.dataset) {
        return relative(at, false);
    }
    if ("moment" in element.dataset) {
        return `${day(at)} ${clock(at)}.${milliseconds(at)}`;
    }
    if ("clock" in element.dataset) {
        const month = at.toLocaleString("en", { month: "short" });
        return day(at) === day(new Date(now()))
            ? `${clock(at)}.${milliseconds(at)}`
            : `${month} ${at.getDate()}, ${clock(at)}`;
    }
    return null;
}

/* The value to the microsecond, as it was given, in this zone: 2026-03-29 14:05:09.123456 +02:00 Europe/Berlin */
function exact(at, given) {
    const minutes = -at.getTimezoneOffset();
    const sign = minutes < 0 ? "-" : "+";
    const offset = `${sign}${two(Math.floor(Math.abs(minutes) / 60))}:${two(Math.abs(minutes) % 60)}`;
    const fraction = /\.\d+/.exec(given)?.[0] ?? "";
    return `${day(at)} ${clock(at)}${fraction} ${offset} ${ZONE}`;
}

/* Shows all times below an element; it need not be on the page yet. */
export function show(root) {
    for (const element of root.querySelectorAll("time[datetime]")) {
        const at = new Date(element.dateTime);
        const shown = Number.isNaN(at.getTime()) ? null : text(element, at);
        if (shown !== null) {
            write(element, shown);
            element.title = exact(at, element.dateTime);
        }
    }
}

function tick() {
    if (document.hidden || frozen()) {
        return;
    }
    for (const element of document.querySelectorAll("time[data-age], time[data-countdown]")) {
        const at = new Date(element.dateTime);
        if (!Number.isNaN(at.getTime())) {
            write(element, text(element, at));
        }
    }
}

function write(element, shown) {
    if (element.textContent !== shown) {
        element.textContent = shown;
    }
}

export function start() {
    show(document);
    setInterval(tick, TICK_MS);
}
