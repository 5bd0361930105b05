"""How the JVMs of tests are started."""

QUICK = "-XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=240m -XX:+UseSerialGC"
"""For JVMs with short lives, which gain nothing from a slow and thorough compiler (with Java's usual room for what it compiles).
As ``SPARK_SUBMIT_OPTS``.
"""
