"""`python -m skitaid`: the command, for those who choose the interpreter."""

from skitaid.cli import main

main(prog_name="skitaid")
