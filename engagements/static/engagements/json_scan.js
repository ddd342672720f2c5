/* JSON as text: where it goes wrong, the same in every browser, and laid out anew without a change to any value. */

const DEEPEST = 32;
const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const STRING = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y;
const WORD = /true|false|null/y;
const TOKEN = /"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s{}[\],:"]+/g;

class Problem extends Error {
    constructor(offset, reason) {
        super(reason);
        this.offset = offset;
    }
}

/* What is wrong first: {offset, line, column, reason}, or null. Lines and columns are counted from 1. */
export function problemOf(text) {
    try {
        const end = blank(text, value(text, blank(text, 0), 1));
        if (end < text.length) {
            throw new Problem(end, "nothing may follow");
        }
        return null;
    } catch (error) {
        if (!(error instanceof Problem)) {
            throw error;
        }
        const before = text.slice(0, error.offset).split("\n");
        return { offset: error.offset, line: before.length, column: before.at(-1).length + 1, reason: error.message };
    }
}

/* Valid JSON with a line for each entry. Numbers and strings stay to the letter: a parser would round long numbers. */
export function laidOut(text) {
    let out = "";
    let depth = 0;
    const tokens = text.match(TOKEN) ?? [];
    tokens.forEach((token, place) => {
        const next = tokens[place + 1];
        if (token === "{" || token === "[") {
            const empty = next === "}" || next === "]";
            depth += empty ? 0 : 1;
            out += empty ? token : `${token}${newLine(depth)}`;
        } else if (token === "}" || token === "]") {
            const empty = tokens[place - 1] === "{" || tokens[place - 1] === "[";
            depth -= empty ? 0 : 1;
            out += empty ? token : `${newLine(depth)}${token}`;
        } else if (token === ",") {
            out += `,${newLine(depth)}`;
        } else {
            out += token === ":" ? ": " : token;
        }
    });
    return out;
}

const newLine = (depth) => `\n${"  ".repeat(depth)}`;

function value(text, at, depth) {
    const first = text[at];
    if (first === "{" || first === "[") {
        if (depth > DEEPEST) {
            throw new Problem(at, `nested more than ${DEEPEST} deep`);
        }
        return first === "{" ? entries(text, at, "}", depth, member) : entries(text, at, "]", depth, value);
    }
    if (first === '"') {
        return string(text, at);
    }
    const end = match(NUMBER, text, at) || match(WORD, text, at);
    if (!end) {
        throw new Problem(at, at < text.length ? "expected a value" : "it ends where a value should stand");
    }
    return end;
}

function entries(text, start, close, depth, entry) {
    let at = blank(text, start + 1);
    if (text[at] === close) {
        return at + 1;
    }
    for (;;) {
        at = blank(text, entry(text, at, depth + 1));
        if (text[at] === close) {
            return at + 1;
        }
        if (text[at] !== ",") {
            throw new Problem(at, at < text.length ? `expected , or ${close}` : `it ends before ${close}`);
        }
        at = blank(text, at + 1);
        if (text[at] === close) {
            throw new Problem(at, "no comma before the end");
        }
    }
}

function member(text, start, depth) {
    if (text[start] !== '"') {
        throw new Problem(start, start < text.length ? 'expected a name in "…"' : "it ends before }");
    }
    const colon = blank(text, string(text, start));
    if (text[colon] !== ":") {
        throw new Problem(colon, "expected : after the name");
    }
    return value(text, blank(text, colon + 1), depth);
}

function string(text, start) {
    const end = match(STRING, text, start);
    if (end) {
        return end;
    }
    for (let at = start + 1; at < text.length; at += 1) {
        if (text[at] === "\\" && !/^\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/.test(text.slice(at, at + 6))) {
            throw new Problem(at, "no such escape; write \\\\ for a backslash");
        }
        if (text[at] < " ") {
            throw new Problem(at, text[at] === "\n" ? 'the text is not closed by "' : "a control character; write it as \\u00…");
        }
        at += text[at] === "\\" ? 1 : 0;
    }
    throw new Problem(text.length, 'the text is not closed by "');
}

function match(pattern, text, at) {
    pattern.lastIndex = at;
    return pattern.test(text) ? pattern.lastIndex : 0;
}

function blank(text, at) {
    while (at < text.length && " \t\r\n".includes(text[at])) {
        at += 1;
    }
    return at;
}
