"""Faults done to a running appliance: does the named alert reach a receiver in time, does no other page, and does it resolve?"""
