"""Exports the generated network as a library for other build systems.

The C is that of the firmware, bit for bit, under other file names. A form (cmake, arduino, ...) is
a folder of templates and a row in `FORMS`; nothing else knows it.
"""

from mbn.image.export.library import FORMS, Example, Library, exported

__all__ = ["FORMS", "Example", "Library", "exported"]
