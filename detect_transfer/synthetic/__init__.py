"""Street scenes with traffic signs, drawn by a seed: the data of the quick start and of its pre-training.

Two tasks that share no class: `source` (country, by day) and `target` (city, at dusk).
"""

from detect_transfer.synthetic.scene import Scene, draw_scene
from detect_transfer.synthetic.tasks import TASKS, SignClass, SignTask

__all__ = ["TASKS", "Scene", "SignClass", "SignTask", "draw_scene"]
