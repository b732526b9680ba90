"""What pyproject.toml cannot say: a wheel carries the configs and the cards of the data sets among its assets."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py


class BuildWithAssets(build_py):
    """Copy `configs/*.yaml` and `datasets/*/dataset.yaml` into the package that is built."""

    def run(self) -> None:
        """Build, then copy."""
        super().run()
        if self.editable_mode:
            return
        for path in (*Path("configs").glob("*.yaml"), *Path("datasets").glob("*/dataset.yaml")):
            target = Path(self.build_lib) / "detect_transfer" / "assets" / path
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)


setup(cmdclass={"build_py": BuildWithAssets})
