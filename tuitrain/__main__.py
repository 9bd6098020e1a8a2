"""python -m tuitrain"""

import sys

if __name__ == "__main__":
    if not sys.flags.safe_path:
        working_folder = sys.path.pop(0)  # or a file there stands in for a module of that name
        from tuitrain.core.python import is_installed

        if not is_installed():
            sys.path.insert(0, working_folder)
    from tuitrain.cli import main

    main()
