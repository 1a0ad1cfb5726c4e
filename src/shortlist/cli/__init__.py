"""The command line: one file a verb; each parses, then calls one function."""

from __future__ import annotations

import os
import sys

from shortlist.errors import ShortlistError


def main() -> None:
    """Run a verb. Exit status 0, 1 for a failure its message explains, 2 for wrong usage, 130 after Ctrl-C."""
    status = _run()
    sys.stdout.flush()
    sys.stderr.flush()
    # Nothing of ours is left to close. Ending here skips the teardown of PyTorch beside DuckDB, whose bindings would
    # print a page about references that outlive them.
    os._exit(status)


def _run() -> int:
    from shortlist.cli.app import app

    try:
        app()
    except SystemExit as left:
        return left.code if isinstance(left.code, int) else 1 if left.code else 0
    except ShortlistError as error:
        print(f"{error.title}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    return 0
