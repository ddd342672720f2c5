/* Help on the form that adds an engagement. Without it the form does the same, and says what is wrong once it is sent. */

import { watch } from "./json_field.js";
import { ask } from "./suggestions.js";

for (const field of document.querySelectorAll("textarea[data-json-bytes]")) {
    watch(field);
}

const user = document.querySelector("input[data-users]");
if (user) {
    const list = listFor(user);
    const note = noteFor(user);
    ask(user, user.dataset.users, (found, term) => {
        const known = found?.users ?? [];
        list.replaceChildren(...known.map((one) => option(one.user_id, one.note)));
        const exact = known.find((one) => one.user_id === term);
        note.say(found && (exact ? exact.note : "New user: the first engagement makes the pipeline."), exact ? "" : "new");
    });
}

const parent = document.querySelector("input[data-parents]");
if (parent) {
    const list = listFor(parent);
    const note = noteFor(parent);
    const choices = document.createElement("div");
    choices.className = "help delivery-choices";
    note.element.after(choices);
    const again = ask(parent, parent.dataset.parents, (found) => {
        list.replaceChildren(...(found?.users ?? []).map((one) => option(one.user_id, one.note)));
        note.say(found?.note, found?.kind);
        choices.replaceChildren(...(found?.engagements ?? []).map(choice));
    });
    choices.addEventListener("click", (event) => {
        const chosen = event.target.closest("button[data-id]");
        if (chosen) {
            parent.value = chosen.dataset.id;
            choices.replaceChildren();
            parent.focus();
            again();
        }
    });
}

function choice(one) {
    const button = document.createElement("button");
    const status = document.createElement("span");
    const text = document.createElement("span");
    button.type = "button";
    button.dataset.id = one.id;
    status.className = `delivery-badge delivery-${one.status}`;
    status.textContent = one.status;
    text.className = "delivery-id";
    text.textContent = one.id;
    button.append(status, " ", text, ` received ${one.received} ago`);
    return button;
}

function option(value, text) {
    const made = document.createElement("option");
    made.value = value;
    made.label = text ? `${value} – ${text}` : value;
    return made;
}

function listFor(field) {
    const list = document.createElement("datalist");
    list.id = `${field.id}_suggestions`;
    field.after(list);
    field.setAttribute("list", list.id);
    return list;
}

function noteFor(field) {
    const element = document.createElement("div");
    element.className = "help delivery-field-note";
    element.id = `${field.id}_note`;
    element.setAttribute("role", "status");
    (field.closest(".flex-container") ?? field).after(element);
    return {
        element,
        say(text, kind) {
            element.textContent = text ?? "";
            element.dataset.kind = kind ?? "";
        },
    };
}
