"""The rules around every operation of every transport: rate, turn, time limit, counting, log, trace, presence."""
