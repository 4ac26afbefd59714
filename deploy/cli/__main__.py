"""`python -m deploy.cli`: the same as `receipts`."""

from deploy.cli import main

main()
