"""Learners: what fits a model. ``boosting`` and ``linear`` are here; a package can bring others by an entry point.

A class of one's own needs what :class:`Learner` lists, and an entry point in the group ``headrace.learners``.
"""

from headrace.training.learners.protocol import Fitted, Learner

__all__ = ["Fitted", "Learner"]
