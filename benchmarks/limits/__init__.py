"""What bounds everybody: PostgreSQL, a broker and HTTP, each with nothing around it."""
