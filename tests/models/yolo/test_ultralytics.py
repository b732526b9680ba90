"""The fence around ultralytics: what it replaces on import is put back."""

import subprocess
import sys
from pathlib import Path

CODE = """
import cv2, numpy, os, PIL.Image, torch
watched = [(torch, 'save'), (torch, 'load'), (PIL.Image, 'open'), (cv2, 'imread'), (cv2, 'imwrite')]
before = [getattr(o, n) for o, n in watched]
threads, printing = (torch.get_num_threads(), cv2.getNumThreads()), numpy.get_printoptions()
environment = os.environ.get('OMP_NUM_THREADS')
from detect_transfer.models.yolo.ultralytics import load_ultralytics
made = load_ultralytics()
assert [getattr(o, n) for o, n in watched] == before
assert (torch.get_num_threads(), cv2.getNumThreads()) == threads
assert numpy.get_printoptions() == printing
assert os.environ.get('OMP_NUM_THREADS') == environment
home = os.environ['YOLO_CONFIG_DIR']
assert os.path.isdir(home)
print(home)
"""


def test_import__puts_back_what_it_replaced_and_leaves_no_folder() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    home = done.stdout.strip().splitlines()[-1]
    assert not Path(home).exists()
