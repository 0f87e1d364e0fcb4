"""One file (or small package) an outside system; the only place that imports a client of one."""
