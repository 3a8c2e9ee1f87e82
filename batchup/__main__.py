"""`python -m batchup` is the `batchup` command."""

from batchup.cli import main

if __name__ == "__main__":
    main(prog_name="batchup")
