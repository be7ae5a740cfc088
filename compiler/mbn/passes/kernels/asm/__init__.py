"""The bodies that the compiler writes as assembly, a file each; function.py writes one function."""
