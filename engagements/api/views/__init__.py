"""The calls of the API. Each reads its input, asks a service or a selector, and writes JSON; no rule lives here."""
