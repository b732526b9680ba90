"""One file a command: what each does from its input to its files."""
