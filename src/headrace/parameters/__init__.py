"""A model's parameters as events: made from accepted rows, numbered, kept in Delta, published on a compacted topic.

Whoever trains or scores reads them from the topic ``<pipeline>.parameters``. Nothing is overwritten: a new content is a new
version, and a pointer says which one is current.
"""

from headrace.parameters.event import Parameters, Pointer
from headrace.parameters.publish import pin, publish, publish_missing, unpin
from headrace.parameters.read import read, read_state
from headrace.parameters.state import State

__all__ = ["Parameters", "Pointer", "State", "pin", "publish", "publish_missing", "read", "read_state", "unpin"]
