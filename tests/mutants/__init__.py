"""``make mutants``: wrong changes made to the code one at a time, to see whether the nearest tests notice.

cosmic-ray makes them and runs the tests; what is here says where, how many, and which tests are nearest.
"""
