"""The execution of operations: from the request's text to the response's payload, for every transport."""
