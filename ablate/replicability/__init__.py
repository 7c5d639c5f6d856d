"""How far an effect replicates: in how many cells, over backbones, against every control at once.

``panel`` belongs to *Is it real*, ``mechanism_panel`` to *Is it the mechanism*.
"""

from ablate.replicability.cells import panel
from ablate.replicability.controls import mechanism_panel

__all__ = ["mechanism_panel", "panel"]
