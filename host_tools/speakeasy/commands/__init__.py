"""The commands, one module a theme. What they share: terminal.py, asking.py, reach.py beside this directory."""
