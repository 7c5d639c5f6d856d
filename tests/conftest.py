import os

# two torch threads beside a busy core stall each other; set before torch is imported anywhere
for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[name] = "1"
