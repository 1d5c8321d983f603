"""Connected components of binary masks."""

from dislayers.connected_components.op import component_sizes, connected_components

__all__ = ["component_sizes", "connected_components"]
