"""Operations compiled into plans: what nearly all traffic asks for, answered without walking a document each time."""
