"""`python -m unitalker.cli`, for launchers such as torchrun that start a module."""

import sys

from unitalker.cli import main

if __name__ == "__main__":
    sys.exit(main())
