"""`python -m her2kg` is the command line."""

from her2kg.cli import main

if __name__ == "__main__":
    main()
