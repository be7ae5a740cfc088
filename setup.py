"""The wheel's data: runtime, boards, firmware and CMake files beside the Python code.

What enters: the repository. What leaves: the same folders as mbn/_data in the wheel, where
`mbn.core.target.data_root` finds them. Always holds: nothing is written into the source tree.
"""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

_FOLDERS = ("runtime", "boards", "firmware", "cmake")


class BuildWithData(build_py):
    """build_py, and the C side copied into the package."""

    def run(self) -> None:
        super().run()
        if self.editable_mode:
            return
        root = Path(__file__).resolve().parent
        data = Path(self.build_lib) / "mbn" / "_data"
        shutil.rmtree(data, ignore_errors=True)
        for folder in _FOLDERS:
            shutil.copytree(root / folder, data / folder)
        shutil.copy2(root / "CMakeLists.txt", data / "CMakeLists.txt")


setup(cmdclass={"build_py": BuildWithData})
