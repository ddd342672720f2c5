/* Asks the server while one types: the latest answer wins, and none is shown for what has been typed over. */

const PAUSE_MS = 200;

/* Calls show(answer, term) some moments after the field was changed; null while there is nothing to ask or no answer. */
export function ask(field, address, show) {
    let timer = 0;
    let asking = null;

    async function now() {
        asking?.abort();
        const term = field.value;
        if (!term.trim()) {
            show(null, term);
            return;
        }
        const mine = (asking = new AbortController());
        try {
            const answer = await fetch(`${address}?${new URLSearchParams({ q: term })}`, { signal: mine.signal });
            const found = answer.ok ? await answer.json() : null;
            if (asking === mine) {
                show(found, term);
            }
        } catch (error) {
            if (error.name !== "AbortError") {
                show(null, term); // help is missing; the field works without
            }
        }
    }

    field.addEventListener("input", () => {
        clearTimeout(timer);
        timer = setTimeout(now, PAUSE_MS);
    });
    if (field.value) {
        now();
    }
    return now;
}
