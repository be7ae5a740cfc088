"""The generated network as a library of other people's build systems.

What enters: generated C, the runtime, an image with its outputs, a form (cmake, arduino, ...). What
leaves: files by path. Always holds: the C is that of the firmware, bit for bit, under other file
names; a form is a folder of templates, and nothing else knows it but its row in `FORMS`.
"""

from mbn.image.export.library import FORMS, Example, Library, exported

__all__ = ["FORMS", "Example", "Library", "exported"]
