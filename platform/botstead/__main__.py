"""`python -m botstead` is the same as `botstead`."""

from botstead.processes.cli.main import main

main()
