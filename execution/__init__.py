"""How an operation runs: from the request's text to the response's payload, for every transport."""
