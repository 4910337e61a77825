"""Kernels: started fast from a warm process, guarded so that none outlives its run, and their death seen and named."""
