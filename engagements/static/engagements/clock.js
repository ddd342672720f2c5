/* The server's clock, as ages and deadlines are counted by it: the viewer's may be wrong, or be set meanwhile. */

let server = Date.now();
let read = performance.now();

/* What the page says the time was when the server wrote it; read: when it came, by performance.now(). */
export function set(page, at = performance.now()) {
    const written = Date.parse(page.querySelector('meta[name="delivery-now"]')?.content ?? "");
    if (!Number.isNaN(written)) {
        server = written;
        read = at;
    }
}

/* Milliseconds since the epoch, now, at the server. */
export function now() {
    return server + performance.now() - read;
}

set(document, performance.getEntriesByType("navigation")[0]?.responseStart || performance.now());
