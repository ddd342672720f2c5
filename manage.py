#!/usr/bin/env python
"""Django's command line for this project; `python manage.py up` starts everything."""

import os
import sys


def main() -> None:
    """Run one management command."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "deliveryproject.settings")
    from django.core.management import execute_from_command_line

    from deliveryproject.no_database import NoDatabaseError

    try:
        execute_from_command_line(sys.argv)
    except NoDatabaseError as error:  # what to do is one sentence, not a traceback
        sys.exit(str(error))


if __name__ == "__main__":
    main()
