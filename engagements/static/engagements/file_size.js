/* Says before the upload that a file is too large: the server would refuse it after it has all been sent. */

for (const input of document.querySelectorAll("input[type=file][data-bytes]")) {
    const limit = Number(input.dataset.bytes);
    input.addEventListener("change", () => {
        const file = input.files[0];
        const tooLarge = file && file.size > limit;
        input.setCustomValidity(
            tooLarge ? `This file has ${(file.size / 2 ** 20).toFixed(1)} MiB; at most ${limit / 2 ** 20} MiB are taken.` : "",
        );
        input.reportValidity();
    });
    input.form?.addEventListener("submit", (event) => {
        if (!input.reportValidity()) {
            event.preventDefault();
        }
    });
}
