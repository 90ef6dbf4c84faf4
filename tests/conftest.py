"""What holds for all tests."""

import gc

# The graphs that tests share stay in memory; going through them for every few new objects took a
# third of the time of the slow tests.
gc.set_threshold(100_000, 50, 1000)
