"""Where engagements are delivered: one small protocol (`base`), one module or folder per kind."""
