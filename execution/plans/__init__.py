"""Operations compiled into plans: nearly all traffic is answered without walking a document each time."""
