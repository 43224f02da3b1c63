"""Stands in for our own processes, so that the appliance around them is tested whatever they do."""
