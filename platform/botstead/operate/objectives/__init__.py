"""Objectives: what is promised, how much of it is kept, and when a promise breaks at this rate."""
