"""This project, measured as it runs in production."""
