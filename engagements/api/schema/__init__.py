"""The OpenAPI description: components, one description per call, and how they are put together."""
