"""The commands, one file a group of them: each takes arguments, runs a flow, tells the terminal."""
