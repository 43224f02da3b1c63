"""The appliance on Docker Compose: how it is set up, checked, upgraded, and laid out on several machines."""
