"""The Python API, by subject; `import mbn` has all of it, see compiler/mbn/__init__.py."""
