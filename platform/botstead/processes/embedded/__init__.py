"""The whole appliance without Docker: real servers from wheels, our processes, and who keeps them alive."""
