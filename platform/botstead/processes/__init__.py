"""One file a process: builds its objects, starts, drains, stops. The only composition root."""
