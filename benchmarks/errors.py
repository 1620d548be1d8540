"""The error that is the user's to mend."""

from __future__ import annotations


class UserError(Exception):
    """Bad input; its one line names what was given, where, and what is allowed.

    The command line prints it without a traceback and exits with code 2.
    """
