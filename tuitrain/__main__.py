"""tuitrain, and python -m tuitrain: the first frame, then the command line."""

import sys


def main() -> None:
    """Run the command line of this process, and exit with its exit code."""
    from tuitrain.tui import opening

    try:
        opening.show(sys.argv[1:])
        from tuitrain.cli import main as run

        run()
    except KeyboardInterrupt:  # while it was imported
        sys.exit(130)
    finally:
        opening.hide()


if __name__ == "__main__":
    if not sys.flags.safe_path:
        working_folder = sys.path.pop(0)  # or a file there stands in for a module of that name
        from tuitrain.core.python import is_installed

        if not is_installed():
            sys.path.insert(0, working_folder)
    main()
