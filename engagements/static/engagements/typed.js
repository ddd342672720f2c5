/* What somebody types in: keys belong to it, and no refresh touches it. */

const BUTTONS = '[type="checkbox"], [type="radio"], [type="button"], [type="submit"], [type="reset"]';

export const TYPED = `input:not(${BUTTONS}), textarea, select, [contenteditable]`;
