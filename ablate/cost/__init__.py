"""What the mechanism costs: strengths that are lost, parameters, time and memory.

``retention`` (non-inferiority on what the backbone could do before), ``resources`` (parameters,
time, memory), ``panel`` (both, as the report shows them).
"""

from ablate.cost.panel import panel
from ablate.cost.resources import Resources, resources
from ablate.cost.retention import ArmRetention, Retention, retention

__all__ = ["ArmRetention", "Resources", "Retention", "panel", "resources", "retention"]
