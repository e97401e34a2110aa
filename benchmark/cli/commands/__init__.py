"""The commands: a file each, with a function `command` and what it needs."""
