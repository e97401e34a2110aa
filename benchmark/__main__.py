"""``python -m benchmark``: hands over to the command line."""

from benchmark.cli import main

main()
