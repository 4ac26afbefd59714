"""`python -m deploy.docs`: write the generated pages of docs/."""

from deploy.docs.generate import main

main()
