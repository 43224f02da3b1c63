"""One suite for the edges: Caddy, HAProxy and nginx, as compose/edge configures them, in front of API processes."""
