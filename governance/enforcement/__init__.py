"""One implementation of the promise, on Arrow: contract -> plan -> enforce(batch) -> outcomes."""
