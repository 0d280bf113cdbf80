"""What happens around every operation, whatever brings it: rate, turn, time limit, counting, log, trace, presence."""
