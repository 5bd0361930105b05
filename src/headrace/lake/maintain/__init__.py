"""What keeps a table small and quick: retention by day, compaction, VACUUM, and a short log. All of it is safe to repeat."""

from headrace.lake.maintain.compaction import compact, small_files
from headrace.lake.maintain.log_cleanup import clean_log, removable_commits
from headrace.lake.maintain.retention import Limit, expired_rows, remove_expired
from headrace.lake.maintain.vacuum import removable_files, unreferenced_files, vacuum

__all__ = [
    "Limit", "clean_log", "compact", "expired_rows", "removable_commits", "removable_files", "remove_expired", "small_files",
    "unreferenced_files", "vacuum",
]  # fmt: skip
