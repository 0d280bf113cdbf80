"""What a user is: the record, the snapshot, the patch and its rules, and the errors with their codes.

Nothing in this room does I/O or knows a framework; every other room may import it.
"""
