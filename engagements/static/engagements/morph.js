/* Makes an element like a newer one in place, instead of putting the new one there: what is focused, scrolled, opened,
   checked, typed or just being clicked stays the same element.

   Children are matched by their key: id, data-key, or what they are for (KEYS); others by place. A form or a link never
   turns into another one: a click that is under way would do what nobody meant. An element with data-keep is left as
   it is. */

const OWN = new Set(["open", "checked", "selected"]); // the viewer's doing, on a page that is in use

const KEYS = {
    form: (form) => form.getAttribute("action"),
    a: (link) => link.getAttribute("href"),
    tr: (row) => row.querySelector("input.action-select")?.value ?? row.querySelector("a[href]")?.getAttribute("href"),
};

export function morph(element, next) {
    if ("keep" in element.dataset || element.isEqualNode(next)) {
        return;
    }
    attributes(element, next);
    if (!element.matches("textarea, select")) {
        children(element, next);
    }
}

function attributes(element, next) {
    for (const { name, value } of next.attributes) {
        if (!OWN.has(name) && element.getAttribute(name) !== value) {
            element.setAttribute(name, value);
        }
    }
    for (const { name } of [...element.attributes]) {
        if (!OWN.has(name) && !next.hasAttribute(name)) {
            element.removeAttribute(name);
        }
    }
}

function children(element, next) {
    const wanted = [...next.childNodes];
    const known = keyed([...element.childNodes]);
    const coming = keyed(wanted);
    for (const [key, child] of known) {
        if (!coming.has(key)) {
            child.remove();
            known.delete(key);
        }
    }
    let place = element.firstChild;
    for (const node of wanted) {
        const key = keyOf(node);
        const old = key ? known.get(key) : place;
        known.delete(key);
        if (old && !(key === "" && keyOf(old)) && alike(old, node)) {
            if (old === place) {
                place = place.nextSibling;
            } else {
                element.insertBefore(old, place);
            }
            update(old, node);
        } else {
            element.insertBefore(document.importNode(node, true), place);
        }
    }
    while (place) {
        const rest = place.nextSibling;
        place.remove();
        place = rest;
    }
}

function update(old, node) {
    if (old instanceof Element) {
        morph(old, node);
    } else if (old.data !== node.data) {
        old.data = node.data;
    }
}

function keyed(nodes) {
    const found = new Map();
    for (const node of nodes) {
        const key = keyOf(node);
        if (key && !found.has(key)) {
            found.set(key, node);
        }
    }
    return found;
}

function keyOf(node) {
    if (node.nodeType !== Node.ELEMENT_NODE) {
        return "";
    }
    return node.id || node.dataset?.key || (KEYS[node.localName]?.(node) ?? "");
}

function alike(old, node) {
    return old.nodeType === node.nodeType && old.nodeName === node.nodeName;
}
